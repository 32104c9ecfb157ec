"""What the nodes do that load, make, change and save pictures, films and sounds."""

import json
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageFilter, ImageOps, PngImagePlugin
from tests.fakes.comfyui.work import Result, Work

Batch = list[Image.Image]

_MAX_BYTES = 1 << 31
_METHODS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}


def _load_image(work: Work, image: str) -> Result:
    with Image.open(work.folders.annotated(image)) as opened:
        picture = ImageOps.exif_transpose(opened)
        mask = ImageOps.invert(picture.getchannel("A")) if "A" in picture.getbands() else Image.new("L", (64, 64))
        return Result(([picture.convert("RGB")], mask))


def _load_image_mask(work: Work, image: str, channel: str) -> Result:
    with Image.open(work.folders.annotated(image)) as opened:
        band = channel[0].upper()
        mask = opened.convert("RGBA").getchannel(band)
        return Result((ImageOps.invert(mask) if band == "A" else mask,))


def _empty_image(_: Work, width: int, height: int, batch_size: int, color: int) -> Result:
    if (size := width * height * batch_size * 4) > _MAX_BYTES:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
            f"you tried to allocate {size} bytes. Error code 12 (Cannot allocate memory)"
        )
    rgb = (color >> 16 & 255, color >> 8 & 255, color & 255)
    return Result(([Image.new("RGB", (width, height), rgb) for _ in range(batch_size)],))


def _image_scale(_: Work, image: Batch, upscale_method: str, width: int, height: int, crop: str) -> Result:
    old = image[0].size
    size = (width or max(1, old[0] * height // old[1]), height or max(1, old[1] * width // old[0]))
    if (width, height) == (0, 0):
        size = old
    method = _METHODS[upscale_method]
    if crop == "center":
        return Result(([ImageOps.fit(each, size, method) for each in image],))
    return Result(([each.resize(size, method) for each in image],))


def _image_scale_by(_: Work, image: Batch, upscale_method: str, scale_by: float) -> Result:
    return Result(([_scaled(each, scale_by, _METHODS[upscale_method]) for each in image],))


def _image_upscale_with_model(work: Work, upscale_model: str, image: Batch) -> Result:
    del upscale_model
    scaled: Batch = []
    for number, each in enumerate(image, 1):
        scaled.append(_scaled(each, 4, Image.Resampling.LANCZOS))
        work.step(number, len(image))
    return Result((scaled,))


def _image_blur(_: Work, image: Batch, blur_radius: int, sigma: float) -> Result:
    del sigma
    return Result(([each.filter(ImageFilter.GaussianBlur(blur_radius)) for each in image],))


def _image_invert(_: Work, image: Batch) -> Result:
    return Result(([ImageOps.invert(each) for each in image],))


def _image_batch(_: Work, image1: Batch, image2: Batch) -> Result:
    return Result(([*image1, *(each.resize(image1[0].size) for each in image2)],))


def _image_from_batch(_: Work, image: Batch, batch_index: int, length: int) -> Result:
    first = min(batch_index, len(image) - 1)
    return Result((image[first : first + length],))


def _save_image(work: Work, images: Batch, filename_prefix: str) -> Result:
    return _save_pictures(work, images, "output", filename_prefix)


def _preview_image(work: Work, images: Batch) -> Result:
    return _save_pictures(work, images, "temp", f"ComfyUI_temp_{_letters(work.node_id)}")


def _preview_any(_: Work, source: Any) -> Result:
    text = source if isinstance(source, str) else json.dumps(source, default=str)
    return Result(shown={"text": [text]})


def _save_animated_webp(work: Work, images: Batch, fps: float, method: str, **options: Any) -> Result:
    more = {"lossless": options["lossless"], "quality": options["quality"], "method": _WEBP_METHODS[method]}
    return _save_film(work, images, options["filename_prefix"], "webp", duration=int(1000 / fps), **more)


def _save_animated_png(work: Work, images: Batch, filename_prefix: str, fps: float, compress_level: int) -> Result:
    more = {"duration": int(1000 / fps), "compress_level": compress_level, "pnginfo": _metadata(work)}
    return _save_film(work, images, filename_prefix, "png", **more)


def _save_webm(work: Work, images: Batch, filename_prefix: str, **_: Any) -> Result:
    return _save_bytes(work, filename_prefix, "webm", b"\x1aE\xdf\xa3" + images[0].tobytes()[:4096], "images")


def _create_video(_: Work, images: Batch, **__: Any) -> Result:
    return Result((images,))


def _save_video(work: Work, video: Batch, filename_prefix: str, **_: Any) -> Result:
    content = b"\0\0\0\x18ftypmp42" + video[0].tobytes()[:4096]
    return _save_bytes(work, filename_prefix, "mp4", content, "images")


def _composite(
    _: Work, destination: Batch, source: Batch, x: int, y: int, resize_source: bool, mask: Image.Image | None = None
) -> Result:
    made: list[Image.Image] = []
    for below, above in zip(destination, source, strict=False):
        layer = above.resize(below.size) if resize_source else above
        made.append(below.copy())
        made[-1].paste(layer, (x, y), mask.resize(layer.size) if mask else None)
    return Result((made,))


def _empty_audio(_: Work, duration: float, sample_rate: int, channels: int) -> Result:
    return Result((b"\0" * min(4096, int(duration * sample_rate) * channels),))


def _save_audio(work: Work, audio: bytes, filename_prefix: str) -> Result:
    return _save_bytes(work, filename_prefix, "flac", b"fLaC" + audio, "audio")


DOES: dict[str, Callable[..., Result]] = {
    "LoadImage": _load_image,
    "LoadImageMask": _load_image_mask,
    "EmptyImage": _empty_image,
    "ImageScale": _image_scale,
    "ImageScaleBy": _image_scale_by,
    "ImageUpscaleWithModel": _image_upscale_with_model,
    "ImageCompositeMasked": _composite,
    "ImageBlur": _image_blur,
    "ImageInvert": _image_invert,
    "ImageBatch": _image_batch,
    "ImageFromBatch": _image_from_batch,
    "SaveImage": _save_image,
    "PreviewImage": _preview_image,
    "PreviewAny": _preview_any,
    "SaveAnimatedWEBP": _save_animated_webp,
    "SaveAnimatedPNG": _save_animated_png,
    "SaveWEBM": _save_webm,
    "CreateVideo": _create_video,
    "SaveVideo": _save_video,
    "EmptyAudio": _empty_audio,
    "SaveAudio": _save_audio,
}


def _save_pictures(work: Work, images: Batch, kind: str, prefix: str) -> Result:
    where = work.folders.save_path(kind, prefix, *images[0].size)
    saved: list[dict[str, str]] = []
    for image in images:
        path, named = where.next("png")
        image.save(path, pnginfo=_metadata(work), compress_level=1 if kind == "temp" else 4)
        saved.append(named)
    return Result(shown={"images": saved})


def _save_film(work: Work, images: Batch, prefix: str, ending: str, **options: Any) -> Result:
    path, named = work.folders.save_path("output", prefix, *images[0].size).next(ending)
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    return Result(shown={"images": [named], "animated": [True]})


def _save_bytes(work: Work, prefix: str, ending: str, content: bytes, medium: str) -> Result:
    path, named = work.folders.save_path("output", prefix, 0, 0).next(ending)
    path.write_bytes(content)
    return Result(shown={medium: [named], **({"animated": [True]} if medium == "images" else {})})


def _metadata(work: Work) -> PngImagePlugin.PngInfo:
    """The text chunks that tell how a picture was made."""
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", json.dumps(work.graph))
    for name, value in work.extra_data.get("extra_pnginfo", {}).items():
        info.add_text(name, json.dumps(value))
    return info


def _letters(node_id: str) -> str:
    """Five letters that differ from node to node."""
    number = int.from_bytes(node_id.encode(), "big") * 7_368_787 % 26**5
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(5))


def _scaled(image: Image.Image, factor: float, method: Image.Resampling) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), method)
