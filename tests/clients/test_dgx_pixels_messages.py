"""Each message of dgx-pixels with exactly its fields and their types, as a strict client would read them."""

from typing import Any

import pytest
from tests.clients.test_dgx_pixels import STAGES, DgxClient, bridged, finished

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.shell import new_job_id

# Their client is in Rust: an integer where a float is meant it reads, a float where an integer is meant it does not.
FIELDS: dict[str, dict[str, type]] = {
    "job_accepted": {"job_id": str, "estimated_time_s": float},
    "job_complete": {"job_id": str, "image_path": str, "duration_s": float},
    "job_error": {"job_id": str, "error": str},
    "job_cancelled": {"job_id": str},
    "model_list": {"models": list},
    "status_info": {"version": str, "queue_size": int, "active_jobs": int, "uptime_s": int},
    "pong": {},
    "error": {"message": str},
    "job_started": {"job_id": str, "timestamp": int},
    "progress": {"job_id": str, "stage": str, "step": int, "total_steps": int, "percent": float, "eta_s": float},
    "preview": {"job_id": str, "image_path": str, "step": int},
    "job_finished": {"job_id": str, "success": bool, "duration_s": float},
}
MODEL = {"name": str, "path": str, "model_type": str, "size_mb": int}
UPDATES = ("job_started", "progress", "preview", "job_finished")


@pytest.fixture(scope="module")
def heard(stokerd: PrivateDaemon) -> dict[str, list[dict[str, Any]]]:
    """All that a bridge says in a conversation in which each kind has its place, by kind."""
    with bridged(stokerd) as client, Client(stokerd.control) as ours:
        said = [client.ask("ping"), client.ask("status"), client.ask("list_models"), client.ask("dance")]
        said += [client.ask("cancel", job_id="nobody"), client.generate(model="no-such-model")]
        whole, dropped = new_job_id(), new_job_id()
        said += [_generate_all_fields(client, whole), *client.updates_until(finished(whole))]
        said += [_generate_all_fields(client, whole)]
        ours.pause()
        said += [client.generate(id=dropped), client.ask("cancel", job_id=dropped)]
        said += client.updates_until(finished(dropped))
        ours.resume()
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for message in said:
        by_kind.setdefault(message["type"], []).append(message)
    return by_kind


def _generate_all_fields(client: DgxClient, job_id: str) -> dict[str, Any]:
    optional: dict[str, Any] = {"lora": None, "batch_size": 1, "animation_frames": 2, "tileset_grid": [1, 2]}
    return client.generate(id=job_id, **optional, size=[64, 64], cfg_scale=7)


def test_every_kind_is_said(heard: dict[str, list[dict[str, Any]]]) -> None:
    """We expect each reply and each update of their list to have its occasion, and nothing else ever to be said."""
    assert heard.keys() == FIELDS.keys()


@pytest.mark.parametrize("kind", FIELDS)
def test_fields_and_types(heard: dict[str, list[dict[str, Any]]], kind: str) -> None:
    """We expect of each kind its fields alone, none of them null, each of the type that their client reads."""
    for message in heard[kind]:
        assert {name: type(value) for name, value in message.items()} == {"type": str, **FIELDS[kind]}


def test_models_and_stages(heard: dict[str, list[dict[str, Any]]]) -> None:
    """We expect the entries of `model_list` and the stages of `progress` to be theirs."""
    (listed,) = heard["model_list"]
    for model in listed["models"]:
        assert {name: type(value) for name, value in model.items()} == MODEL
        assert model["model_type"] in ("checkpoint", "lora", "vae")
    assert {message["stage"] for message in heard["progress"]} <= STAGES
    assert all(0 <= message["percent"] <= 100 for message in heard["progress"])
