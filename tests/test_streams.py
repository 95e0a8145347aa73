"""Output in every encoding: nothing fails, and what an encoding lacks is written plainly."""

import io
import json
import subprocess
import sys

import pytest

from megabar.launchers.cli import streams
from megabar.launchers.cli.options import print_json
from megabar.launchers.cli.streams import plain, take_everything

RICH = "Cu–Au: 10⁻³ ± 2 Å³ → λ, Δ₀, ω̄₂, α²F, μ* … ½ × √2 ≥ ∞, §試"


def test_plain_forms() -> None:
    assert plain("10⁻¹² m²") == "10^-12 m^2"
    assert plain(RICH) == (
        "Cu-Au: 10^-3 +- 2 A^3 -> lambda, Delta0, omegabar2, alpha^2F, mu* ... 1/2 x sqrt2 >= inf, \\xa7\\u8a66"
    )
    assert plain("Ω ω Σ σ") == "Omega omega Sigma sigma"
    assert plain("a\udcffb") == "a\\udcffb"  # a byte of a file's name that is no text


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", plain(RICH)),
        (
            "iso-8859-1",
            "Cu-Au: 10^-³ ± 2 Å³ -> lambda, Delta0, omegabar2, alpha²F, mu* ... ½ × sqrt2 >= inf, §\\u8a66",
        ),
        ("euc_jp", "Cu-Au: 10^-3 ± 2 Å^3 → λ, Δ0, ωbar2, α^2F, μ* … 1/2 × √2 >= ∞, §試"),
        ("utf-8", RICH),
    ],
)
def test_what_is_lacking_is_replaced_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, encoding: str, expected: str
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, write_through=True))
    monkeypatch.setattr(sys, "stderr", io.StringIO())  # one that is no file is left alone
    take_everything()
    print(RICH, end="")
    assert written.getvalue().decode(encoding) == expected


def test_json_keeps_what_the_encoding_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="iso-8859-1", write_through=True))
    print_json({"reaction": RICH})
    assert json.loads(written.getvalue()) == {"reaction": RICH}


def test_other_errors_are_not_swallowed() -> None:
    with pytest.raises(UnicodeDecodeError):
        streams._replace(UnicodeDecodeError("ascii", b"\xff", 0, 1, "no"))


@pytest.mark.parametrize("encoding", ["iso-8859-1", "euc_jp", "ascii"])
def test_a_command_in_an_encoding(encoding: str, tmp_path) -> None:
    environment = {"PYTHONIOENCODING": encoding, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "megabar.launchers.entry", "phases", "Na-He"], env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert "100" in done.stdout.decode(encoding)
