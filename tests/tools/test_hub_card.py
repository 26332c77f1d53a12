"""A card that the hub's own reader takes, and a push to a server on this machine that stands in."""

import base64
import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from huggingface_hub import ModelCard, constants
from small import small_run, trained

from loraexp.api import run_folder
from loraexp.commands.export import ExportConfig
from loraexp.commands.export import run as export_command
from loraexp.commands.push import PushConfig
from loraexp.commands.push import run as push_command
from loraexp.errors import UserError
from loraexp.tools.pushing import sendable

TOKEN = "hf_secretsecretsecret"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = small_run(tmp_path_factory.mktemp("outputs"), epochs=1, logger="none")
    trained(config)
    return run_folder(config)


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hub") / "out"
    terms = {"license": "other", "license_name": "ours *alone*", "language": "en"}
    config = ExportConfig(run=str(run), out=str(out), format="hub", evidence=[str(run)], **terms)
    export_command(config)
    return out


def test_the_hubs_own_reader_finds_the_records_scores(exported: Path, run: Path) -> None:
    card = ModelCard.load(exported / "README.md")
    scores = json.loads((run / "record.json").read_text())["metrics"]["test"]
    assert card.data.library_name == "peft"
    assert card.data.pipeline_tag == "text-classification"
    assert (card.data.license, card.data.license_name) == ("other", "ours *alone*")
    found = {one.metric_type: one.metric_value for one in card.data.eval_results}
    assert found["accuracy"] == pytest.approx(scores["accuracy"], abs=1e-6)
    assert {one.dataset_split for one in card.data.eval_results} == {"test"}


def test_the_card_has_results_evidence_data_licence_and_how_it_is_opened(exported: Path) -> None:
    text = (exported / "README.md").read_text()
    parts = [line for line in text.splitlines() if line.startswith("## ")]
    assert parts[:4] == ["## Results", "## Evidence", "## Data", "## Licence"]
    assert "PeftModel.from_pretrained" in text
    assert "ours \\*alone\\*" in text


def test_no_path_of_this_machine_and_no_text_is_in_an_export_for_the_hub(
    exported: Path, run: Path
) -> None:
    mistakes = json.loads((run / "record.json").read_text())["mistakes"]
    assert mistakes
    for file in sendable(exported).values():
        content = file.read_bytes()
        assert str(exported.parent).encode() not in content
        assert str(run.parent).encode() not in content
        assert not any(m["text"].encode() in content for m in mistakes if len(m["text"]) > 20)


def test_the_plain_export_names_its_base_by_a_path_so_the_search_above_finds_one(
    run: Path, tmp_path: Path
) -> None:
    export_command(ExportConfig(run=str(run), out=str(tmp_path / "out")))
    assert str(tmp_path) in (tmp_path / "out" / "adapter_config.json").read_text()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"license": "mit"}, "license is for the card of format=hub, got format=peft"),
        ({"format": "hub", "license": "other"}, "license_name goes with license=other"),
        ({"format": "hub", "license_name": "x"}, "got license=nothing and license_name=x"),
    ],
)
def test_keys_of_a_card_that_do_not_fit_are_refused(
    settings: dict[str, Any], says: str, run: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says):
        export_command(ExportConfig(run=str(run), out=str(tmp_path / "out"), **settings))
    assert not (tmp_path / "out").exists()


class StandIn(BaseHTTPRequestHandler):
    """Of the hub as much as a push asks; what it was sent is in `server.seen`."""

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_GET(self) -> None:
        hub: Any = self.server
        self.answer({"id": "me/mine", "private": hub.private, "sha": "0" * 40})

    def do_POST(self) -> None:
        hub: Any = self.server
        content = self.body()
        hub.seen.append((self.path, self.headers.get("Authorization"), content))
        if hub.refuses:
            self.answer({"error": "no *rights*"}, 403)
        elif self.path.endswith("/create"):
            self.answer({"url": f"http://127.0.0.1:{hub.server_port}/me/mine"})
        elif "/preupload/" in self.path:
            files = json.loads(content)["files"]
            whole = {"uploadMode": "regular", "shouldIgnore": False}
            self.answer({"files": [{"path": file["path"], **whole} for file in files]})
        else:
            address = f"http://127.0.0.1:{hub.server_port}/me/mine/commit/{'1' * 40}"
            self.answer({"commitUrl": address, "commitOid": "1" * 40})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    server.seen, server.private, server.refuses = [], True, False
    Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield server
    server.shutdown()
    server.server_close()


def test_a_push_commits_the_files_and_asks_for_a_private_repository(
    hub: Any, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push_command(PushConfig(folder=str(exported), repo="me/mine"))
    created = next(json.loads(body) for path, _, body in hub.seen if path.endswith("/create"))
    assert created.get("private") or created.get("visibility") == "private"
    (commit,) = [body for path, _, body in hub.seen if "/commit/" in path]
    lines = [json.loads(line)["value"] for line in commit.decode().splitlines()]
    sent = {one["path"]: base64.b64decode(one["content"]) for one in lines if "path" in one}
    assert sent == {name: file.read_bytes() for name, file in sendable(exported).items()}
    assert {"README.md", "adapter_model.safetensors", "base/model.safetensors"} <= sent.keys()
    assert {token for _, token, _ in hub.seen} == {f"Bearer {TOKEN}"}
    shown = capsys.readouterr()
    assert "sent to http" in shown.out
    assert TOKEN not in shown.out + shown.err


def test_without_a_repository_nothing_is_sent(
    hub: Any, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push_command(PushConfig(folder=str(exported)))
    assert hub.seen == []
    assert "nothing was sent" in capsys.readouterr().out


def test_a_public_repository_takes_nothing_private(hub: Any, exported: Path) -> None:
    hub.private = False
    with pytest.raises(UserError, match="is there and public: private=false sends to it"):
        push_command(PushConfig(folder=str(exported), repo="me/mine"))
    assert not any("/commit/" in path for path, _, _ in hub.seen)
    push_command(PushConfig(folder=str(exported), repo="me/mine", private=False))
    assert any("/commit/" in path for path, _, _ in hub.seen)


def test_what_the_hub_refuses_is_one_line_without_the_token(
    hub: Any, exported: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.refuses = True
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(UserError, match=r"refuses repo=me/mine \(403\)") as error,
    ):
        push_command(PushConfig(folder=str(exported), repo="me/mine"))
    assert "\n" not in str(error.value)
    assert TOKEN not in str(error.value) + caplog.text


def test_without_a_token_or_a_whole_name_nothing_is_asked(
    hub: Any, exported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for repo, says in (("mine", "USER/NAME, got 'mine'"), ("a b/c", "repo=a b/c")):
        with pytest.raises(UserError, match=says):
            push_command(PushConfig(folder=str(exported), repo=repo))
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(UserError, match="no token"):
        push_command(PushConfig(folder=str(exported), repo="me/mine"))
    assert hub.seen == []


def test_a_runs_own_folder_is_not_sent(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no adapter_model.safetensors or model.safetensors"):
        sendable(run)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError, match=r"no README.md"):
        sendable(tmp_path)
    (tmp_path / "README.md").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="leads out of its folder"):
        sendable(tmp_path)
