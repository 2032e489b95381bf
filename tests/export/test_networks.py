"""The contract of every model: its encoder and its decoder go to files that other programs read, and agree there."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch

from tests.export.trained_models import trained_run, unseen_pictures
from tests.tiny_runs import make_trainer, tiny_config, train_tiny
from vae_explorer import cli
from vae_explorer.export import network_formats
from vae_explorer.export.network_files import TOLERANCE, Agreement
from vae_explorer.export.network_formats import ABOUT_FILE
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.gaussian import DiagonalGaussian
from vae_explorer.models.interface import LatentModel
from vae_explorer.models.record import ModelRecord
from vae_explorer.runs import files
from vae_explorer.runs.checkpoint import LoadedModel, model_from_run
from vae_explorer.training.run_config import run_config_to_table, with_value

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
has_onnx = all(importlib.util.find_spec(package) for package in ONNX_PACKAGES)
needs_onnx = pytest.mark.skipif(
    not has_onnx, reason="the optional extra is not installed: pip install 'vae-explorer[onnx]'"
)
Run = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def run_pt2(path: Path) -> Run:
    program = torch.export.load(path).module()
    return lambda inputs: [value.numpy() for value in program(*map(torch.from_numpy, inputs))]


def run_onnx(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    assert all(item.shape[0] == "batch" for item in (*session.get_inputs(), *session.get_outputs()))
    return lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))


def own_results(loaded: LoadedModel, num: int) -> dict[str, tuple[list[np.ndarray], list[np.ndarray]]]:
    """Inputs and outputs of the encoder and of the decoder, from the model's own interface."""
    model, record = loaded.model, MODELS[loaded.config.model_name]
    x_BCHW, label_B = unseen_pictures(loaded, num)
    told = model.condition_of(x_BCHW, label_B)
    posterior = model.encode(x_BCHW, told)
    if isinstance(posterior, DiagonalGaussian):
        encoded = [posterior.mean, posterior.log_variance]
    elif record.has_codes or record.has_codebook:
        encoded = [posterior.mean]
    else:
        encoded = [model.responsibilities(x_BCHW)]
    decoded = [model.decode(posterior.mean, told).mean_BCHW]
    # What an encoder is told of a picture's part it finds in the picture; a decoder is shown all of that picture.
    beside = {"class": [label_B], "part": [x_BCHW], "": []}[record.condition]
    to_encode = [x_BCHW, *([] if record.condition == "part" else beside)]
    return {
        "encoder": (arrays(to_encode), arrays(encoded)),
        "decoder": (arrays([posterior.mean, *beside]), arrays(decoded)),
    }


def arrays(values: Sequence[torch.Tensor]) -> list[np.ndarray]:
    return [value.numpy() for value in values]


def assert_close(found: Sequence[np.ndarray], own: Sequence[np.ndarray]) -> None:
    for one, other in zip(found, own, strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE * max(1.0, float(np.abs(other).max())))


def check_programs(run: Path, folder: Path, suffix: str, open_program: Callable[[Path], Run]) -> None:
    loaded = model_from_run(run)
    for name in ("encoder", "decoder"):
        out = folder / f"{name} –{suffix}"
        assert cli.main(["export", str(run), "--what", name, "--out", str(out)]) == 0
        program = open_program(out)
        for num in (1, 7):
            inputs, outputs = own_results(loaded, num)[name]
            assert_close(program(inputs), outputs)


@pytest.fixture(autouse=True)
def _no_thread_of_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """What writes ONNX counts its passes with tqdm, which would leave a thread to the rest of the process."""
    if has_onnx:
        monkeypatch.setattr("tqdm.tqdm.monitor_interval", 0)


@pytest.fixture(params=list(MODELS), ids=lambda record: record.name)
def record(request: pytest.FixtureRequest) -> ModelRecord:
    return request.param


@pytest.mark.slow
def test_programs_of_torch_export_take_any_number_of_pictures(record: ModelRecord, tmp_path: Path) -> None:
    check_programs(trained_run(tmp_path / "run", record), tmp_path, ".pt2", run_pt2)


@pytest.mark.slow
@needs_onnx
def test_onnx_models_take_any_number_of_pictures(
    record: ModelRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained_run(tmp_path / "run", record)
    if record.name == "gaussian-mixture":
        out = tmp_path / "encoder.onnx"
        assert cli.main(["export", str(run), "--what", "encoder", "--out", str(out)]) == 1
        assert "no operator" in capsys.readouterr().err
        assert not out.exists()
        return
    check_programs(run, tmp_path, ".onnx", run_onnx)


def test_weights_alone_are_enough_and_name_where_they_come_from(
    record: ModelRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained_run(tmp_path / "run", record)
    loaded = model_from_run(run)
    own = loaded.model.state_dict()
    sizes = {}
    for name in ("encoder", "decoder", "model"):
        out = tmp_path / f"{name}.safetensors"
        assert cli.main(["export", str(run), "--what", name, "--out", str(out)]) == 0
        assert "Read back and tried on 32 heldout images" in capsys.readouterr().out
        with safetensors.safe_open(out, "pt") as file:
            about = file.metadata()
            found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        assert json.loads(about["configuration"]) == json.loads(json.dumps(run_config_to_table(loaded.config)))
        assert (about["run"], about["model"], about["part"]) == ("run", record.name, name)
        assert int(about["step"]) == loaded.step
        assert all(torch.equal(value, own[key]) for key, value in found.items())
        sizes[name] = set(found)
    assert sizes["model"] == set(own)
    assert sizes["encoder"] | sizes["decoder"] <= sizes["model"]
    # The encoder's own weights, set into a model that knows nothing else, do its work.
    model: LatentModel = trained_elsewhere(loaded, sizes["encoder"], tmp_path / "encoder.safetensors")
    inputs, outputs = own_results(loaded, 5)["encoder"]
    inputs_again, outputs_again = own_results(LoadedModel(model, loaded.config, 0), 5)["encoder"]
    assert_close(inputs_again, inputs)
    assert_close(outputs_again, outputs)


def trained_elsewhere(loaded: LoadedModel, names: set[str], path: Path) -> LatentModel:
    other = make_trainer(with_value(loaded.config, "training.seed", 99)).model.eval().requires_grad_(False)
    found = safetensors.torch.load_file(path)
    assert set(found) == names
    assert not other.load_state_dict(found, strict=False).unexpected_keys
    return other


VARIANTS = {
    "continuous Bernoulli": {"data.protocol": "continuous-bernoulli"},
    "discrete": {"data.protocol": "discrete"},
    "a sigma a pixel": {"data.protocol": "gaussian", "model.gaussian_variance": "per-pixel"},
    "convolutional": {"model.body": "convolutional", "model.channels": (4, 8), "model.normalisation": "batch"},
    "residual": {"model.body": "residual", "model.channels": (4, 8), "model.normalisation": "layer"},
    "averaged weights": {"training.ema_decay": 0.9},
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("suffix", "open_program"), [(".pt2", run_pt2), pytest.param(".onnx", run_onnx, marks=needs_onnx)]
)
def test_every_body_and_observation_model_agrees(
    variant: str, suffix: str, open_program: Callable[[Path], Run], tmp_path: Path
) -> None:
    config = tiny_config()
    for path, value in VARIANTS[variant].items():
        config = with_value(config, path, value)
    train_tiny(tmp_path / "run", config)
    check_programs(tmp_path / "run", tmp_path, suffix, open_program)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    train_tiny(tmp_path / "run")
    return tmp_path / "run"


def test_a_program_says_what_it_is(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "decoder.pt2"
    assert cli.main(["export", str(run), "--what", "decoder", "--out", str(out)]) == 0
    beside = {ABOUT_FILE: ""}
    torch.export.load(out, extra_files=beside)
    about = json.loads(beside[ABOUT_FILE])
    assert about["inputs"] == "z float32 (batch, 2)"
    assert about["outputs"] == "mean_image float32 (batch, 1, 8, 8)"


@needs_onnx
def test_an_onnx_model_says_what_it_is(run: Path, tmp_path: Path) -> None:
    import onnx

    out = tmp_path / "encoder.onnx"
    assert cli.main(["export", str(run), "--what", "encoder", "--out", str(out)]) == 0
    model = onnx.load(out)
    onnx.checker.check_model(model, full_check=True)
    about = {item.key: item.value for item in model.metadata_props}
    assert about["outputs"] == "mean float32 (batch, 2), log_variance float32 (batch, 2)"
    assert [item.name for item in model.graph.output] == ["mean", "log_variance"]


@pytest.mark.parametrize("what", ["decoder", "model"])
def test_a_file_that_gives_something_else_is_not_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    written = network_formats.weights_bytes

    def slightly_wrong(weights: Any, about: Any) -> bytes:
        return written({name: value * 1.01 for name, value in weights.items()}, about)

    monkeypatch.setattr(network_formats, "weights_bytes", slightly_wrong)
    monkeypatch.setattr("vae_explorer.export.network_files.weights_bytes", slightly_wrong)
    out = tmp_path / "weights.safetensors"
    out.write_bytes(b"of yesterday")
    assert cli.main(["export", str(run), "--what", what, "--out", str(out)]) == 1
    assert "was written and tried, and was not kept" in capsys.readouterr().err
    assert out.read_bytes() == b"of yesterday"
    assert {entry.name for entry in tmp_path.iterdir()} == {"run", "weights.safetensors"}


@pytest.mark.parametrize("what", ["decoder", "model"])
def test_a_disk_that_gives_back_something_else_is_noticed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    read = files.read_bytes

    def with_a_bit_turned(path: Path, maximum_bytes: int) -> bytes:
        content = read(path, maximum_bytes)
        return content[:-1] + bytes([content[-1] ^ 1]) if path.name.startswith(".part-") else content

    monkeypatch.setattr(files, "read_bytes", with_a_bit_turned)
    assert cli.main(["export", str(run), "--what", what, "--out", str(tmp_path / "a.safetensors")]) == 1
    assert "the disk gives back something else" in capsys.readouterr().err
    assert {entry.name for entry in tmp_path.iterdir()} == {"run"}


def test_what_is_compared_must_be_a_number() -> None:
    assert Agreement(difference=TOLERANCE).is_good
    assert not Agreement(difference=TOLERANCE * 1.01).is_good
    assert not Agreement(difference=float("inf")).is_good
    assert not Agreement(difference=0.0, codes_apart=0.5).is_good
    assert not Agreement().is_good


@pytest.mark.parametrize("missing", ONNX_PACKAGES)
def test_without_the_extra_the_person_reads_how_to_get_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    load = importlib.import_module

    def absent(name: str, package: str | None = None) -> Any:
        if name == missing:
            raise ImportError(name)
        return object() if name in ONNX_PACKAGES else load(name, package)

    monkeypatch.setattr(importlib, "import_module", absent)
    assert cli.main(["export", str(run), "--what", "decoder", "--out", str(tmp_path / "decoder.onnx")]) == 3
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"An ONNX file needs the Python package {missing}, which is not installed."
    assert "pip install 'vae-explorer[onnx]'" in second


@pytest.mark.parametrize(
    ("what", "name", "words", "hint"),
    [
        ("decodr", "a.onnx", "A run has no 'decodr' to export.", "Did you mean 'decoder'?"),
        ("decoder", "a.pt", "a.pt is no name for the network from z", "Choose .safetensors, .pt2 or .onnx."),
        ("decoder", "a", "a is no name for", "Choose .safetensors, .pt2 or .onnx."),
        ("model", "a.onnx", "a.onnx is no name for all weights", "Choose .safetensors."),
        ("metrics", "a.tsv", "a.tsv is no name for the curves", "Choose .csv or a folder's name"),
    ],
)
def test_another_word_or_ending_is_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, name: str, words: str, hint: str
) -> None:
    assert cli.main(["export", str(run), "--what", what, "--out", str(tmp_path / name)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert words in first
    assert hint in second
    assert not (tmp_path / name).exists()
