"""Draws sprites.png, the picture in the README: run `.venv/bin/python docs/images/draw_sprites.py`."""

from pathlib import Path

from stoker_worker.models.sprites.motion import posed
from stoker_worker.models.sprites.png import encode
from stoker_worker.models.sprites.prompt import recipe
from stoker_worker.models.sprites.sprite import draw

PROMPTS = """
a red dragon, a tiny teal slime, an armoured knight, an old wizard with a staff, a golden owl, a rusty robot,
a sleepy bear, a purple ghost, a happy mushroom, a giant crab, a striped snake, a spotted frog, an ice dragon,
a fiery wolf, a unicorn princess, a rainbow unicorn, a pirate cat, a wizard cat, a dragon knight, a viking bear,
a ninja frog, a crowned slime, a winged fox, a horned rabbit, an undead horse, a mechanical spider, a poison toad,
an electric mouse, a cosmic whale, a night bat, a glowing jellyfish, a spiky turtle, a fluffy sheep, a royal penguin,
an angry chicken, a baby elephant, a demon queen, a goblin archer, a skeleton pirate, a snow golem, a lava golem,
a treant, a haunted castle, a cozy house, a rocket, a pirate ship, a mimic chest, a love potion, a flaming sword,
a blue shield, a green cactus with a hat, a pumpkin king, a black cat with a scarf, a blue bird, a phoenix,
a tiger in a top hat, a samurai, an alien, an astronaut, a vampire, a zombie, glorp, the thing from the deep, xyzzy 42
"""
COLUMNS, CELL, SCALE = 16, 34, 2
SHADES = ((58, 60, 74), (66, 68, 84))


def main() -> None:
    """Put all prompts on one sheet, on a chequered ground so that the transparency shows."""
    grids = [draw(recipe(prompt.strip(), None), posed("idle", 0, 1), "classic") for prompt in PROMPTS.split(",")]
    width, height = COLUMNS * CELL, -(-len(grids) // COLUMNS) * CELL
    pixels = [[SHADES[(x // CELL + y // CELL) % 2] for x in range(width)] for y in range(height)]
    for place, grid in enumerate(grids):
        left, top = place % COLUMNS * CELL + 1, place // COLUMNS * CELL + 1
        for index, (*colour, alpha) in enumerate(grid):
            ground = pixels[top + index // 32][left + index % 32]
            blend = [round((c * alpha + g * (255 - alpha)) / 255) for c, g in zip(colour, ground, strict=True)]
            pixels[top + index // 32][left + index % 32] = (blend[0], blend[1], blend[2])
    rows = [b"".join(bytes((*pixel, 255)) * SCALE for pixel in row) for row in pixels for _ in range(SCALE)]
    Path(__file__).with_name("sprites.png").write_bytes(encode(width * SCALE, height * SCALE, rows))


if __name__ == "__main__":
    main()
