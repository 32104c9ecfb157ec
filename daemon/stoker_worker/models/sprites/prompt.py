"""From a prompt and a seed to a recipe: the words and their hash decide who it is, the seed decides details."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from stoker_worker.models.sprites import words
from stoker_worker.models.sprites.palette import COLOURS, FIXED, SKINS, Tone

SEED_LIMIT = 2**63
EMBERS = Tone(0.44, 0.13, 25)  # what burns is dark, so that the flames show
EYES = ("bean", "dot", "round", "tall", "bean", "round", "shiny")
MOUTHS = ("smile", "flat", "fang", "open", "smile", "none", "cat", "teeth")
TRINKETS = ("", "", "", "scarf", "bow", "flower", "blush", "patch", "blush", "glasses")
HAIRS = ("brown", "rust", "golden", "black", "orange", "white", "slate", "pink", "teal")
CLOTHS = ("red", "golden", "sky", "lime", "pink", "purple", "orange", "white")
MOODS = ("angry", "happy", "sleepy", "sad")
ELEMENTS = ("fiery", "icy", "poison", "electric", "cosmic")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that is drawn except the motion."""

    kind: str
    traits: frozenset[str]
    tones: Mapping[str, Tone]
    eyes: str
    mouth: str
    mood: str
    hat: str
    held: str
    pattern: str
    trinket: str
    rainbow: bool
    scale: float
    traitful: Mapping[str, float] = field(default_factory=dict[str, float])  # proportions, each from -1 to 1
    seed: int = 0
    painted: bool = False  # whether the words name a colour
    ground: str = ""  # a kind of ground for a tile, or "" for a creature

    def shape(self, name: str) -> float:
        """A proportion from -1 to 1 that stays with the prompt."""
        return self.traitful.get(name, 0.0)


def number(*parts: object) -> int:
    """A number of 63 bits from the parts' text, the same in every process."""
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) % SEED_LIMIT


def tokens(prompt: str) -> list[str]:
    """The prompt's words in lower case; a jack-o'-lantern and a T-rex are one word each."""
    text = re.sub(r"\b(jack|t)\W?(?:o\W*)?(lantern|rex)\b", r"\1o\2", prompt.lower().replace("'", ""))
    return re.findall(r"[^\W_]+", text.replace("torex", "trex"))


def meaning(word: str, table: Mapping[str, str]) -> str:
    """The entry that `word`, or its singular, stands for; "" for none."""
    for form in (word, word.removesuffix("s"), word.removesuffix("es"), re.sub("ves$", "f", word)):
        if form in table:
            return table[form]
    return ""


@dataclass(slots=True)
class _Reading:
    """What the words say, before anything is left to the hash."""

    kind: str = ""
    ground: str = ""
    colours: list[str] = field(default_factory=list[str])
    traits: set[str] = field(default_factory=set[str])
    hat: str = ""
    held: str = ""
    trinket: str = ""
    rainbow: bool = False


def read(prompt: str) -> _Reading:
    """The meaning of the words: the last creature before "with", "in", "on" ... is the one that is drawn."""
    said = _Reading()
    found = [word for word in tokens(prompt) if word not in ("a", "an", "the")]
    linked = next((place for place, word in enumerate(found) if word in words.LINKS and place), len(found))
    kinds = [kind for word in found[:linked] if (kind := meaning(word, words.KIND_WORDS))]
    if not kinds:
        kinds = [kind for word in found[linked:] if (kind := meaning(word, words.KIND_WORDS))][:1]
    for word in found:
        _read_colour(word, said)
        if trait := words.TRAIT_WORDS.get(word, ""):
            said.traits.add(trait)
    for word in found[linked:]:
        said.held = said.held or meaning(word, words.HELD_WORDS)
        said.hat = said.hat or meaning(word, words.HAT_WORDS)
        said.trinket = said.trinket or meaning(word, words.TRINKET_WORDS)
    if kinds:
        worn = kinds[-1] in words.ROLES
        bodies = [kind for kind in kinds if kind not in words.ROLES and kind != "dragon"] if worn else kinds
        said.kind = bodies[-1] if bodies else kinds[-1]
        for lender in kinds:
            _lend(lender, said)
    said.ground = _read_ground(found, bool(kinds))
    return said


def _read_colour(word: str, said: _Reading) -> None:
    colour = words.COLOUR_WORDS.get(word, "")
    if colour == "rainbow":
        said.rainbow = True
    elif colour and colour not in said.colours:
        said.colours.append(colour)


def _lend(lender: str, said: _Reading) -> None:
    if lender == said.kind:
        return
    for gift in words.LENDS.get(lender, ()):
        if gift.startswith("hat:"):
            said.hat = said.hat or gift[4:]
        elif gift.startswith("hold:"):
            said.held = said.held or gift[5:]
        else:
            said.traits.add(gift)


def _read_ground(found: Sequence[str], creature: bool) -> str:
    """The kind of ground for a tile: asked for by name, or when nothing but ground is spoken of."""
    grounds = [ground for word in found if (ground := words.GROUND_WORDS.get(word, ""))]
    if words.GROUND_TRIGGERS.intersection(found):
        kinds = sorted(set(words.GROUND_WORDS.values()))
        return grounds[0] if grounds else kinds[number("ground", *found) % len(kinds)]
    rest = [word for word in found if word not in words.GROUND_WORDS and word not in words.STOP_WORDS]
    plain = all(word in words.COLOUR_WORDS or word in words.TRAIT_WORDS for word in rest)
    pure = [word for word in found if word in words.GROUND_WORDS and (not rest or word not in words.TRAIT_WORDS)]
    return words.GROUND_WORDS[pure[-1]] if pure and plain and not creature else ""


def recipe(prompt: str, seed: int | None) -> Recipe:
    """The recipe for a prompt; without a seed, the prompt's own."""
    said = read(prompt)
    core = " ".join(tokens(prompt)) or prompt.strip()
    seed = number("seed", core) if seed is None else seed
    who, detail = Random(number("who", core)), Random(number("detail", core, seed))
    kinds = sorted(words.NATURAL)
    kind = said.kind or ("monster" if who.random() < 0.4 else kinds[who.randrange(len(kinds))])
    shapes = {name: who.uniform(-1, 1) for name in ("wide", "tall", "head", "limb", "ears", "tail", "a", "b", "c", "d")}
    traits = set(said.traits)
    if "royal" in traits:
        traits.add("caped")
    mood = next((mood for mood in MOODS if mood in traits), "")
    hat = _hat(said, traits)
    eyes, mouth = who.choice(EYES), who.choice(MOUTHS)
    pattern = _pattern(traits, who, detail)
    return Recipe(
        kind=kind,
        traits=frozenset(traits),
        tones=_tones(said, kind, who, detail),
        eyes=eyes,
        mouth={"happy": "smile", "angry": "fang", "sad": "frown", "sleepy": "flat"}.get(mood, mouth),
        mood=mood,
        hat=hat,
        held=said.held,
        pattern=pattern,
        trinket=said.trinket or (detail.choice(TRINKETS) if kind not in STILL else ""),
        rainbow=said.rainbow,
        scale=_scale(traits, who),
        traitful=shapes,
        seed=seed,
        painted=bool(said.colours),
        ground=said.ground,
    )


STILL = words.set_of("chest potion sword shield castle house rocket ship gem heart book bomb key lantern cake apple")


def _hat(said: _Reading, traits: set[str]) -> str:
    if said.hat:
        return said.hat
    for trait, hat in (("crowned", "crown"), ("royal", "crown"), ("hooded", "hood"), ("armoured", "helmet")):
        if trait in traits:
            return hat
    return ""


def _scale(traits: set[str], who: Random) -> float:
    usual = who.uniform(0.95, 1.0)
    if "big" in traits:
        return 1.13
    return 0.66 if "tiny" in traits else 0.76 if "baby" in traits else usual


def _pattern(traits: set[str], who: Random, detail: Random) -> str:
    for trait in ("striped", "spotted"):
        if trait in traits:
            return trait
    own = who.choice(("", "", "striped", "spotted", "", ""))
    return own or detail.choice(("", "", "freckles", "spotted"))


def _tones(said: _Reading, kind: str, who: Random, detail: Random) -> dict[str, Tone]:
    """The palette: one body colour, one accent that goes with it, and what follows from the two."""
    natural = words.NATURAL.get(kind, words.ANY_COLOUR).split()
    picked = who.choice(natural)
    body = (
        COLOURS[said.colours[0]]
        if said.colours
        else _element_tone(said.traits if kind != "flame" else set(), COLOURS[picked])
    )
    body = body.moved(hue=who.uniform(-7, 7) + detail.uniform(-4, 4), light=detail.uniform(-0.015, 0.015))
    turn = who.choice((150, 180, 210, 120, -120, 60, -60)) + detail.uniform(-40, 40)
    accent = Tone(0.70 if body.light < 0.6 else 0.56, 0.15, (body.hue + turn) % 360)
    if len(said.colours) > 1:
        accent = COLOURS[said.colours[1]]
    if kind == "ghost":
        body = body.moved(light=0.14, chroma=0.7)
    if "night" in said.traits and not said.colours:
        body = Tone(0.36, 0.09, 275 + who.uniform(-15, 15))
    patterned = bool(said.traits & {"striped", "spotted"})
    tones = {
        **FIXED,
        "body": body,
        "belly": body.moved(light=0.20 if body.light < 0.7 else 0.09, chroma=0.45, hue=8),
        "mark": body.moved(
            light=(-0.5 if patterned else -0.3) if body.light > 0.85 else -0.15 if body.light > 0.5 else 0.17, hue=-12
        ),
        "limb": body.moved(light=-0.07, hue=-6),
        "accent": accent,
        "trim": Tone(0.82, 0.10, (accent.hue + 30) % 360),
        "iris": Tone(0.68, 0.16, detail.choice((20, 60, 95, 145, 200, 250, 300, 340))),
        "skin": who.choice(SKINS),
        "hair": COLOURS[who.choice(HAIRS)],
        "wing": accent.moved(light=0.08) if detail.random() < 0.6 else body.moved(light=-0.1, hue=20),
        "trinket": COLOURS[detail.choice(CLOTHS)],
    }
    return _with_traits(tones, said.traits)


def _element_tone(traits: set[str], usual: Tone) -> Tone:
    for trait, colour in (("fiery", "ashen"), ("icy", "sky"), ("poison", "lime"), ("electric", "yellow")):
        if trait in traits:
            return EMBERS if colour == "ashen" else COLOURS[colour]
    if "cosmic" in traits:
        return COLOURS["indigo"]
    return COLOURS["slate"] if "mechanical" in traits else usual


def _with_traits(tones: dict[str, Tone], traits: set[str]) -> dict[str, Tone]:
    if "undead" in traits:
        tones |= {name: tones[name].moved(light=-0.06, chroma=0.45, hue=15) for name in ("body", "belly", "limb")}
        tones |= {"skin": Tone(0.70, 0.06, 145)}
    if "night" in traits:
        tones |= {name: tones[name].moved(light=-0.10, hue=10) for name in ("body", "belly", "limb", "mark")}
    if "mechanical" in traits:
        tones |= {name: tones[name].moved(chroma=0.6) for name in ("body", "limb")}
    return tones
