"""A real daemon's own findings, over the wire: what was broken under it while it works is named, with what to do."""

from pathlib import Path

from tests.system.daemons import FAULTS, a_rig, config
from tests.system.test_keys_commands import stokerd

from stoker_protocol.replies import Finding


def test_a_directory_that_was_removed_under_it(tmp_path: Path) -> None:
    """We expect health and check to say that what comes in now is lost, and what to do, for as long as it is so."""
    with a_rig(tmp_path) as rig:
        rig.run("a")
        rig.data_dir.rename(tmp_path / "aside")
        store = next(finding for finding in rig.client.health().findings if finding.part == "store")
        wrong = [finding.part for finding in rig.client.check() if not finding.ok]
        (tmp_path / "aside").rename(rig.data_dir)
        assert not store.ok
        assert f"{rig.data_dir}/stoker.sqlite3 was removed under the daemon" in store.detail
        assert "restart the daemon, restore a backup" in store.detail
        assert {"data directory", "permissions"} <= set(wrong)
        assert all(finding.ok for finding in rig.client.check())
        assert rig.client.health().ready


def test_what_is_broken_while_it_works(tmp_path: Path) -> None:
    """We expect configuration, keys, folders and files named that were broken after the start, each by its path."""
    models = tmp_path / "models"
    models.mkdir()
    key = tmp_path / "api.key"
    key.write_text("sk-1")
    key.chmod(0o600)
    engines = f'{FAULTS}[engines.llm]\nkind = "openai"\nurl = "http://127.0.0.1:9/v1"\napi_key_file = "{key}"\n'
    text = config(engines=engines.replace("python_path = [", f'python_path = ["{models}", '))
    with a_rig(tmp_path, text) as rig:
        file = tmp_path / "stokerd.toml"

        def found(part: str) -> Finding:
            return next(finding for finding in rig.client.check() if finding.part == part)

        parts = ("configuration", "keys", "permissions", "endpoints", "open files", "clock", "memory limit")
        assert all(found(part).ok for part in parts)
        file.write_text(text.replace("crash_limit", "").replace("[execution]", "[execution]\nno_progress_s = 7"))
        assert found("configuration").advice == "stoker reload"
        assert "execution.no_progress_s" in found("configuration").detail
        file.write_text(text.replace("[execution]", "[exection]"))
        assert not found("configuration").ok
        assert "execution" in found("configuration").detail
        key.chmod(0o644)
        assert f"chmod go-rwx {key}" in found("permissions").advice
        models.rmdir()
        assert f"engines.faults.python_path: {models} is not there" in found("permissions").detail
        stokerd(rig.data_dir, "keys", "init")
        (rig.data_dir / "keys/server.toml").chmod(0o644)
        assert not found("keys").ok
        assert "chmod 600" in found("keys").detail
