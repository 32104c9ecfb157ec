"""Who is let in, and as whom: by key, by user, by address; and what one client may take."""

import asyncio
from pathlib import Path

import pytest
import zmq
import zmq.asyncio
from tests.daemon.zmq.rig import Dealer, clients, letting_in, many_turns, pong, within

from stoker_daemon.ports import Caller
from stoker_daemon.zmq import keyring
from stoker_daemon.zmq.admission import Admission, LocalRules
from stoker_daemon.zmq.frontend import Frontend
from stoker_daemon.zmq.keyring import Client
from stoker_daemon.zmq.shares import Share, Shares
from stoker_daemon.zmq.zap import ENDPOINT
from stoker_protocol.errors import Refused
from stoker_protocol.requests import Ping, Role

KEY, OTHER = "k" * 40, "o" * 40
ANN = Client("ann", Role.SUBMIT, KEY)
RULES = LocalRules(Role.VIEW, {1000: ("bob", Role.ADMIN)})


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("127.0.0.1", Caller("local", Role.VIEW)),
        ("127.8.8.8", Caller("local", Role.VIEW)),
        ("::1", Caller("local", Role.VIEW)),
        ("localhost:1000:1000:77", Caller("bob", Role.ADMIN)),
        ("localhost:1001:1000:77", Caller("uid-1001", Role.VIEW)),
        ("192.168.1.5", None),
        ("::ffff:192.168.1.5", None),
        ("fe80::1%eth0", None),
        ("2001:db8::1000:1000:77", None),
        ("", None),
        ("localhost", None),
        ("\0", None),
    ],
)
def test_without_a_key(address: str, caller: Caller | None) -> None:
    """We expect this machine and its users to be known by their addresses, and everybody else to stay outside."""
    admission = Admission(RULES)
    user_id = admission.admit_plain(address)
    assert (admission.caller(user_id) if user_id else None) == caller


def test_strangers_only_when_told_so() -> None:
    """We expect strangers to be let in under a name of their own where the daemon is told to, and only there."""
    open_house = Admission(LocalRules(Role.SUBMIT, {}, lets_strangers_in=True))
    user_id = open_house.admit_plain("192.168.1.5")
    assert user_id is not None
    assert open_house.caller(user_id) == Caller("stranger", Role.SUBMIT)
    assert Admission(RULES).caller(user_id) is None


def test_a_revoked_key_stays_out_under_its_name() -> None:
    """We expect that who is let in by a key is out when that key goes, also when the name has another one then."""
    admission = Admission(RULES, {KEY: ANN})
    user_id = admission.admit_key(KEY)
    assert user_id is not None
    assert admission.caller(user_id) == Caller("ann", Role.SUBMIT)
    assert admission.replace_clients({OTHER: Client("ann", Role.ADMIN, OTHER)}) == {user_id}
    assert (admission.caller(user_id), admission.admit_key(KEY)) == (None, None)


@pytest.mark.parametrize("user_id", ["", "ann", "key:", "key:ann", "nobody", "key:" + OTHER])
def test_unknown_ids_are_nobody(user_id: str) -> None:
    """We expect no caller for an id that nobody was let in under."""
    assert Admission(RULES, {KEY: ANN}).caller(user_id) is None


def test_nobody_gets_in_while_nobody_says_so() -> None:
    """We expect peers to stay outside while no one answers for them, instead of being let in unasked."""

    async def scenario() -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        frontend = Frontend(context, ["tcp://127.0.0.1:0"], pong, admission=Admission(RULES))
        frontend.start()
        async with clients() as theirs:
            dealer = Dealer.connect(theirs, frontend)
            await dealer.send(Ping(id="1"))
            await many_turns()
            assert not await dealer.socket.poll(100)
        await frontend.close()
        context.destroy(linger=0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "question",
    [
        [b"1.0", b"7", b"stoker", b"192.168.1.5", b"", b"NULL"],
        [b"2.0", b"7", b"stoker", b"127.0.0.1", b"", b"NULL"],
        [b"1.0", b"7", b"other", b"127.0.0.1", b"", b"NULL"],
        [b"1.0", b"7", b"stoker", b"127.0.0.1", b"", b"PLAIN", b"ann", b"secret"],
        [b"1.0", b"7", b"stoker", b"127.0.0.1", b"", b"CURVE", b"short"],
        [b"1.0", b"7", b"stoker", b"127.0.0.1", b"", b"CURVE", bytes(32)],
        [b"1.0", b"7", b"stoker", b"127.0.0.1", b"", b"CURVE"],
    ],
)
def test_questions_that_are_answered_with_no(question: list[bytes]) -> None:
    """We expect every other question than that of a known key or a known address to be answered with 400."""

    async def scenario() -> None:
        with letting_in(Admission(RULES, {KEY: ANN})) as context:
            asks = zmq.asyncio.Context(context).socket(zmq.REQ)
            asks.set(zmq.LINGER, 0)
            asks.connect(ENDPOINT)
            await within(asks.send_multipart(question))
            version, request_id, code, _, user_id, _ = await within(asks.recv_multipart())
            assert (version, request_id, code, user_id) == (b"1.0", b"7", b"400", b"")
            asks.close()

    asyncio.run(scenario())


def test_shares() -> None:
    """We expect what goes beyond a client's share to be refused, and another's not, until some is answered."""
    shares = Shares(Share(requests=2, bytes=100))
    shares.take("a", 60, 0, is_paced=True)
    with pytest.raises(Refused):
        shares.take("a", 41, 0, is_paced=True)
    shares.take("a", 40, 0, is_paced=True)
    with pytest.raises(Refused):
        shares.take("a", 0, 0, is_paced=True)
    shares.take("b", 100, 0, is_paced=True)
    shares.give_back("a", 60)
    shares.take("a", 60, 0, is_paced=True)


def test_pace() -> None:
    """We expect as many requests as a second may have, then refusals with the time to wait, after which one goes."""
    shares = Shares(Share(requests_per_s=4))
    for _ in range(4):
        shares.take("a", 1, 10.0, is_paced=True)
    with pytest.raises(Refused) as refused:
        shares.take("a", 1, 10.0, is_paced=True)
    assert refused.value.retry_after_s == pytest.approx(0.25)
    shares.take("a", 1, 10.25, is_paced=True)
    for _ in range(100):
        shares.take("b", 1, 10.0, is_paced=False)


def test_files_of_keys(tmp_path: Path) -> None:
    """We expect what was written to be read, for its owner's eyes only, and broken files to let nobody in."""
    keyring.write_server(tmp_path, keyring.ServerKeys(KEY, OTHER))
    keyring.write_client(tmp_path, ANN)
    folder = tmp_path / keyring.FOLDER
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*.toml")} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (folder, folder / "clients")} == {0o700}
    assert keyring.read_server(tmp_path) == keyring.ServerKeys(KEY, OTHER)
    broken = {
        "twin": f'role = "admin"\npublic_key = "{KEY}"',
        "Upper": f'role = "admin"\npublic_key = "{OTHER}"',
        "god": f'role = "god"\npublic_key = "{OTHER}"',
        "any": f'role = "any"\npublic_key = "{OTHER}"',
        "short": 'role = "admin"\npublic_key = "k"',
        "list": 'role = "admin"\npublic_key = ["k"]',
        "torn": 'role = "adm',
    }
    for name, text in broken.items():
        (folder / "clients" / f"{name}.toml").write_text(text)
    clients_, faults = keyring.read_clients(tmp_path)
    assert clients_ == {KEY: ANN}
    assert len(faults) == len(broken)
    assert OTHER not in repr(keyring.read_server(tmp_path))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_secret_that_others_can_read(tmp_path: Path, mode: int) -> None:
    """We expect the daemon's own keys to be refused when others could read or write them, and what to do about it."""
    keyring.write_server(tmp_path, keyring.ServerKeys(KEY, OTHER)).chmod(mode)
    with pytest.raises(keyring.KeyringError, match=rf"mode {mode:04o}.*chmod 600"):
        keyring.read_server(tmp_path)
