"""What a ComfyUI server makes: pictures by models, films, sounds and texts; the fake makes the same kinds of things."""

import io
from typing import Any

import pytest
from PIL import Image
from tests.conformance.comfyui_client import (
    Client,
    Graph,
    image_graph,
    in_loop,
    model_graph,
    new_color,
    new_prefix,
    view,
)
from tests.conformance.conftest import ComfyServer

FILM = {"images": ["1", 0], "fps": 6.0}
WEBP = {**FILM, "lossless": True, "quality": 80, "method": "default"}
MEDIA: dict[str, tuple[dict[str, Any], str, str, bytes]] = {
    "SaveAnimatedWEBP": (WEBP, "images", ".webp", b"RIFF"),
    "SaveAnimatedPNG": ({**FILM, "compress_level": 4}, "images", ".png", b"\x89PNG"),
    "SaveWEBM": ({**FILM, "codec": "vp9", "crf": 32.0}, "images", ".webm", b"\x1aE\xdf\xa3"),
    "SaveVideo": ({"video": ["3", 0], "format": "mp4", "codec": "h264"}, "images", ".mp4", b"ftyp"),
    "SaveAudio": ({"audio": ["4", 0]}, "audio", ".flac", b"fLaC"),
}


@pytest.mark.parametrize("name", MEDIA)
@in_loop
async def test_each_medium_is_listed_under_its_key(comfyui: ComfyServer, name: str) -> None:
    """Films are listed as animated images, sounds as audio, and each file begins as its kind does."""
    inputs, key, ending, magic = MEDIA[name]
    graph = sources()
    graph["2"] = {"class_type": name, "inputs": {**inputs, "filename_prefix": new_prefix()}}
    async with Client(comfyui.url) as client:
        entry = await client.wait_for_history(await client.submit(graph))
        shown = entry["outputs"]["2"]
        assert list(shown) == ([key, "animated"] if key == "images" else [key])
        assert shown.get("animated", [True]) == [True]
        assert shown[key][0]["filename"].endswith(ending)
        status, content = await client.get_bytes(view(shown[key][0]))
        assert (status, magic in content[:8]) == (200, True)


@in_loop
async def test_texts_are_shown_as_text(comfyui: ComfyServer) -> None:
    """A text comes in the history as a list of texts."""
    graph = image_graph(StokerTestText={"text": "a\nb"})
    graph["2"] = {"class_type": "PreviewAny", "inputs": {"source": ["3", 1]}}
    async with Client(comfyui.url) as client:
        entry = await client.wait_for_history(await client.submit(graph))
        assert entry["outputs"]["2"] == {"text": ["a\nb"]}


@in_loop
async def test_pictures_are_inpainted_and_upscaled(comfyui: ComfyServer) -> None:
    """Masks, models' parts and scalings can be put together; the size is what they make of it."""
    async with Client(comfyui.url) as client:
        entry = await client.wait_for_history(await client.submit(image_graph()))
        saved = entry["outputs"]["2"]["images"][0]
        graph = inpainting(comfyui.checkpoint, f"{saved['subfolder']}/{saved['filename']} [output]")
        entry = await client.wait_for_history(await client.submit(graph))
        assert entry["status"]["status_str"] == "success", entry["status"]
        _, content = await client.get_bytes(view(entry["outputs"]["9"]["images"][0]))
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (4 * 96, 4 * 96)


@in_loop
async def test_a_picture_depends_on_every_word_and_number(comfyui: ComfyServer) -> None:
    """The same graph makes the same pixels even if it isn't cached; another seed or text makes others."""
    async with Client(comfyui.url) as client:
        graph = model_graph(comfyui.checkpoint)
        first = await pixels(client, graph)
        await client.wait_for_history(await client.submit(image_graph()))
        assert await pixels(client, graph) == first
        graph["6"]["inputs"]["text"] = "a blue ball"
        other_text = await pixels(client, graph)
        graph["3"]["inputs"]["seed"] += 1
        assert len({first, other_text, await pixels(client, graph)}) == 3


async def pixels(client: Client, graph: Graph) -> bytes:
    """The pixels that a graph makes."""
    entry = await client.wait_for_history(await client.submit(graph))
    _, content = await client.get_bytes(view(entry["outputs"]["9"]["images"][0]))
    with Image.open(io.BytesIO(content)) as image:
        return image.tobytes()


def sources() -> Graph:
    """Three pictures (node 1), a film of them (3) and a sound (4)."""
    picture = {"width": 64, "height": 64, "batch_size": 3, "color": new_color()}
    return {
        "1": {"class_type": "EmptyImage", "inputs": picture},
        "3": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 6.0}},
        "4": {"class_type": "EmptyAudio", "inputs": {"duration": 0.1, "sample_rate": 44100, "channels": 2}},
    }


def inpainting(checkpoint: str, image: str) -> Graph:
    """A picture encoded with a mask, sampled, its latent and itself scaled, and enlarged by a model."""
    graph = model_graph(checkpoint)
    graph |= {
        "20": {"class_type": "LoadImage", "inputs": {"image": image}},
        "21": {"class_type": "LoadImageMask", "inputs": {"image": image, "channel": "red"}},
        "22": {
            "class_type": "VAEEncodeForInpaint",
            "inputs": {"pixels": ["20", 0], "vae": ["4", 2], "mask": ["21", 0], "grow_mask_by": 6},
        },
        "23": {"class_type": "SetLatentNoiseMask", "inputs": {"samples": ["22", 0], "mask": ["21", 0]}},
        "24": {
            "class_type": "LoraLoaderModelOnly",
            "inputs": {"model": ["4", 0], "lora_name": "random_lora.safetensors", "strength_model": 0.5},
        },
        "25": {
            "class_type": "LatentUpscaleBy",
            "inputs": {"samples": ["3", 0], "upscale_method": "nearest-exact", "scale_by": 2.0},
        },
        "26": {
            "class_type": "ImageScaleBy",
            "inputs": {"image": ["8", 0], "upscale_method": "lanczos", "scale_by": 0.75},
        },
        "27": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "random_x4.safetensors"}},
        "28": {"class_type": "ImageUpscaleWithModel", "inputs": {"upscale_model": ["27", 0], "image": ["26", 0]}},
        "29": {"class_type": "VAELoader", "inputs": {"vae_name": "random_vae.safetensors"}},
    }
    graph["3"]["inputs"] |= {"latent_image": ["23", 0], "model": ["24", 0]}
    graph["8"]["inputs"] |= {"samples": ["25", 0], "vae": ["29", 0]}
    graph["9"]["inputs"]["images"] = ["28", 0]
    return graph
