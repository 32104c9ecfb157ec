"""The page about the wire says what the types say."""

import json
import re

from docs.write_protocol import GOLDEN, PAGE, SCHEMA, page, schema_file


def test_the_page_is_up_to_date() -> None:
    """We expect what `.venv/bin/python docs/write_protocol.py` would write; run it when this fails."""
    assert PAGE.read_text(encoding="utf-8") == page(PAGE.read_text(encoding="utf-8"))
    assert SCHEMA.read_text(encoding="utf-8") == schema_file()


def test_links_of_the_page_lead_somewhere() -> None:
    """We expect each type and reply that is named to have its heading."""
    text = PAGE.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in re.findall(r"^##+ (.+)", text, re.M)
    }
    assert {*re.findall(r"\]\(#([\w-]+)\)", text)} <= headings


def test_the_page_shows_each_message_on_the_wire() -> None:
    """We expect an example of each message of the sockets, whose bytes are those of its JSON."""
    text = PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"```json\n(.+?)\n```\n\n```hex\n(.+?)\n```", text, re.S)
    examples = {"".join(body.split()): json.loads(example) for example, body in shown}
    for folder in ("requests", "replies", "events"):
        for path in (GOLDEN / folder).glob("*.msgpack"):
            if path.name.count(".") == 1:
                assert examples[path.read_bytes().hex()] == json.loads(path.with_suffix(".json").read_text("utf-8"))
