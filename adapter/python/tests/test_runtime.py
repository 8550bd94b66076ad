"""``python -m ukernel``: which file is run, what is logged, what status comes back, what is said of mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import library_only

import ukernel

pytestmark = library_only
PACKAGE = Path(ukernel.__file__).parents[1]


def python(
    *words: object, root: Path | None = None, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path} | (variables or {})
    command = [sys.executable, "-m", "ukernel", *map(str, words)]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60)


def project(
    folder: Path, text: str = "", manifest: str = '[project]\nname = "test"\n', entry: str = "src/main.py"
) -> Path:
    (folder / "ukernel.toml").write_text(manifest)
    path = folder / entry
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return folder


LOOP = """
    import asyncio, sys
    async def main():
        print(type(asyncio.get_running_loop()).__module__)
    asyncio.run(main())
"""


def test_the_default_entry_runs_on_this_loop(tmp_path: Path) -> None:
    ended = python(root=project(tmp_path, LOOP))
    assert (ended.returncode, ended.stdout) == (0, "ukernel.loop\n"), ended.stderr
    assert "adapter: entrypoint src/main.py (python)" in ended.stderr
    assert f"adapter: python version={sys.version.split()[0]} " in ended.stderr
    assert "adapter: loop class=ukernel.loop.EventLoop interface=0.3." in ended.stderr


def test_the_entry_of_the_manifest_runs(tmp_path: Path) -> None:
    project(tmp_path, "print('other')", '[project]\nentry = "app/start.py"\n', "app/start.py")
    ended = python("--root", tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "other\n"), ended.stderr


def test_the_option_and_the_variables_name_root_and_entry(tmp_path: Path) -> None:
    project(tmp_path, "print('default')")
    (tmp_path / "other.py").write_text("print('other')")
    assert python("--root", tmp_path, "--entry", "other.py").stdout == "other\n"
    variables = {"UKERNEL_ROOT": str(tmp_path), "UKERNEL_ENTRY": "other.py"}
    assert python(variables=variables).stdout == "other\n"
    assert python("--entry", "src/main.py", variables=variables).stdout == "default\n"


def test_the_program_is_main_with_its_arguments_and_modules(tmp_path: Path) -> None:
    text = """
        import pickle, sys
        import beside, below
        class Thing: pass
        assert __name__ == "__main__" and sys.modules["__main__"].Thing is Thing
        assert type(pickle.loads(pickle.dumps(Thing()))) is Thing
        print(__file__, sys.argv, beside.name, below.name)
    """
    project(tmp_path, text)
    (tmp_path / "src/beside.py").write_text("name = 'beside'")
    (tmp_path / "below.py").write_text("name = 'below'")
    entry = tmp_path / "src/main.py"
    ended = python("--root", tmp_path, "one", "--two")
    assert ended.stdout == f"{entry} ['{entry}', 'one', '--two'] beside below\n", ended.stderr


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit('a reason')", 1),
        ("import sys; sys.exit(256 + 7)", 7),
        ("raise ValueError('on purpose')", 1),
        ("import asyncio, sys\nasync def main(): sys.exit(5)\nasyncio.run(main())", 5),
        ("import os; os.kill(os.getpid(), 15)", -15),
    ],
)
def test_the_exit_status_is_the_programs(tmp_path: Path, text: str, status: int) -> None:
    assert python(root=project(tmp_path, text)).returncode == status


def test_an_exception_shows_the_program_and_nothing_else(tmp_path: Path) -> None:
    ended = python(root=project(tmp_path, "def f():\n    1 / 0\nf()\n"))
    assert "ZeroDivisionError" in ended.stderr
    assert 'src/main.py", line 2, in f' in ended.stderr
    assert "runtime.py" not in ended.stderr


def test_a_mistake_in_the_programs_syntax_names_file_and_line(tmp_path: Path) -> None:
    ended = python(root=project(tmp_path, "x = 1\nif x\n    pass\n"))
    assert ended.returncode == 1
    assert 'src/main.py", line 2' in ended.stderr
    assert "SyntaxError" in ended.stderr


def test_no_manifest_is_named(tmp_path: Path) -> None:
    ended = python("--root", tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"ukernel: {tmp_path}/ukernel.toml: there is no such file")


def test_a_manifest_that_does_not_parse_shows_the_line(tmp_path: Path) -> None:
    project(tmp_path, manifest='[project]\nname = "x"\nentry = src/main.py\n')
    ended = python("--root", tmp_path)
    assert ended.returncode == 2
    first, shown, mark = ended.stderr.splitlines()
    assert first.startswith(f"ukernel: {tmp_path}/ukernel.toml:3: ")
    assert shown == "    entry = src/main.py"
    assert mark.strip() == "^"


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("[project\n", "ukernel.toml:1: "),
        ("[project]\nentry = 5\n", "ukernel.toml:2: entry is no path: 5"),
        ('[project]\nentry = ""\n', "ukernel.toml:2: entry is no path: ''"),
        ("project = 1\n", "project is no table"),
        ('[project]\nentry = "gone.py"\n', "gone.py: the program's entry does not exist"),
        ('[project]\nentry = "src"\n', "src: the program's entry is a folder"),
        ("[project]\n# \udcff\n", "ukernel.toml:2: not UTF-8"),
    ],
)
def test_a_broken_manifest_is_one_message(tmp_path: Path, manifest: str, words: str) -> None:
    project(tmp_path)
    (tmp_path / "ukernel.toml").write_bytes(manifest.encode(errors="surrogateescape"))
    ended = python("--root", tmp_path)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_manifest_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "ukernel.toml").mkdir()
    ended = python("--root", tmp_path)
    assert ended.returncode == 2
    assert "ukernel.toml: Is a directory" in ended.stderr


def test_help_explains_it() -> None:
    ended = python("--help")
    assert ended.returncode == 0
    assert "--root DIR" in ended.stdout
    assert "--entry FILE" in ended.stdout
