"""A Dockerfile that Docker would follow, read otherwise, would run something else than on Google."""

from gcp_emulator.runtime.dockerfile import DEFAULT_PATH, Copy, Stage, parse


def last(text: str) -> Stage:
    return parse(text)[-1]


def test_exec_form_is_taken_as_it_is_and_shell_form_goes_through_the_shell() -> None:
    stage = last('FROM a\nENTRYPOINT ["run", "$X"]\nCMD echo "$X" && true\n')
    assert stage.entrypoint == ("run", "$X")
    assert stage.cmd == ("/bin/sh", "-c", 'echo "$X" && true')


def test_the_stages_shell_is_used() -> None:
    assert last('FROM a\nSHELL ["/bin/bash", "-euc"]\nCMD x').cmd == ("/bin/bash", "-euc", "x")


def test_a_new_entrypoint_drops_the_command_of_the_stage_it_builds_on() -> None:
    stage = last(
        'FROM a AS base\nENTRYPOINT ["old"]\nCMD ["arg"]\nENV A=1\nWORKDIR /w\nFROM base\nENTRYPOINT ["new"]'
    )
    assert (stage.entrypoint, stage.cmd) == (("new",), ())
    assert (stage.env["A"], stage.workdir) == ("1", "/w")


def test_env_in_both_forms_with_quotes_continuations_and_variables() -> None:
    stage = last('FROM a\nENV A=1 B="two words" \\\n    C=${A:-none}\nENV D=$A-x\nENV OLD some "old" form\n')
    assert {name: stage.env[name] for name in "ABCD"} == {"A": "1", "B": "two words", "C": "none", "D": "1-x"}
    assert stage.env["OLD"] == "some old form"


def test_path_is_extended_not_replaced() -> None:
    assert last("FROM a\nENV PATH=/opt/venv/bin:$PATH").env["PATH"] == f"/opt/venv/bin:{DEFAULT_PATH}"


def test_arguments_have_their_defaults_and_env_wins() -> None:
    text = "ARG V=3.12\nARG OTHER=x\nFROM python:${V}-slim\nARG V\nARG W=$V.1\nENV A=$V B=$W C=$OTHER\n"
    text += "ARG A=no\nENV D=$A"
    stage = last(text)
    assert stage.base == "python:3.12-slim"
    assert [stage.env[name] for name in "ABCD"] == ["3.12", "3.12.1", "", "3.12"]


def test_workdir_is_relative_to_the_one_before() -> None:
    assert last("FROM a\nWORKDIR /app\nWORKDIR sub/x\nWORKDIR ..").workdir == "/app/sub"


def test_copy_in_all_its_forms() -> None:
    text = """FROM a AS build
FROM b
WORKDIR /app
COPY --chown=1:1 --chmod=755 a.txt b.txt dir/
COPY --from=build /x/y /z
ADD ["with space.txt", "/q"]
ADD https://example.com/file /remote
COPY . .
"""
    assert last(text).copies == (
        Copy(("a.txt", "b.txt"), "/app/dir/", mode=0o755),
        Copy(("/x/y",), "/z", "build"),
        Copy(("with space.txt",), "/q"),
        Copy((".",), "/app/"),
    )


def test_bodies_of_here_documents_are_not_instructions() -> None:
    stage = last('FROM a\nRUN <<EOF\nCMD ["wrong"]\nENV A=1\nEOF\nCMD ["right"]')
    assert stage.cmd == ("right",)
    assert "A" not in stage.env


def test_nothing_comes_of_a_file_without_from() -> None:
    assert parse("# only a comment\nARG A=1\n") == ()
