"""Writes tiny models with random weights: `tiny.py FOLDER`, by a Python that has torch."""

import sys
from importlib import import_module
from pathlib import Path

WORDS = ("a", "red", "green", "blue", "dragon", "owl", "cat", "castle", "the", "small", "large", "of", "sky", "sea")
WIDTH = 32
"""Of each hidden layer."""


def diffusion(folder: Path) -> None:
    """A text-to-image pipeline of the first generation: a text encoder, a U-Net with three levels, an autoencoder."""
    diffusers, transformers = import_module("diffusers"), import_module("transformers")
    blocks = ("DownBlock2D", "CrossAttnDownBlock2D"), ("CrossAttnUpBlock2D", "UpBlock2D")
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(WIDTH, WIDTH),
        layers_per_block=1,
        sample_size=8,
        down_block_types=blocks[0],
        up_block_types=blocks[1],
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(16, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=8,
    )
    encoder = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(_clip_words()),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_attention_heads=4,
            num_hidden_layers=2,
            max_position_embeddings=77,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    pipeline = diffusers.StableDiffusionPipeline(
        unet=unet,
        vae=vae,
        text_encoder=encoder,
        tokenizer=transformers.CLIPTokenizer(vocab=_clip_words(), merges=[], model_max_length=77),
        scheduler=diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
    )
    pipeline.save_pretrained(folder)


def embeddings(folder: Path) -> None:
    """A sentence transformer: a BERT of two layers whose outputs are averaged."""
    transformers, sentences = import_module("transformers"), import_module("sentence_transformers")
    bert = folder / "bert"
    letters = "abcdefghijklmnopqrstuvwxyz0123456789?!"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = list(dict.fromkeys(words))
    numbers = {word: number for number, word in enumerate(vocabulary)}
    transformers.BertTokenizer(vocab=numbers).save_pretrained(bert)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=64,
    )
    transformers.BertModel(config).save_pretrained(bert)
    encoder = sentences.base.modules.Transformer(str(bert), max_seq_length=64)
    pooling = sentences.sentence_transformer.modules.Pooling(encoder.get_embedding_dimension())
    made = sentences.SentenceTransformer(modules=[encoder, pooling], device="cpu", prompts={"query": "the query "})
    made.save(str(folder / "model"))


def _clip_words() -> dict[str, int]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    return {token: number for number, token in enumerate(tokens)}


if __name__ == "__main__":
    import_module("torch").manual_seed(7)
    diffusion(Path(sys.argv[1]) / "diffusion")
    embeddings(Path(sys.argv[1]) / "embeddings")
