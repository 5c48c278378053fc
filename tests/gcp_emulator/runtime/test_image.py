"""Which folder an image URI means, and which files a container of it finds."""

import pytest

from gcp_emulator.runtime.errors import ImageInvalid, ImageNotFound
from gcp_emulator.runtime.image import find_image, image_name


def files(world, name):
    return {path: file.source.name for path, file in find_image(world.images, name).files.items()}


@pytest.mark.parametrize(
    "uri",
    [
        "europe-west1-docker.pkg.dev/p/r/dlt-ingestion:1",
        "dlt_ingestion",
        "gcr.io/p/dlt-ingestion@sha256:0123",
        "localhost:5000/dlt-ingestion:v1@sha256:0123",
    ],
)
def test_the_last_segment_of_the_uri_names_the_folder(uri):
    assert image_name(uri) == "dlt_ingestion"


def test_a_folder_may_be_named_either_way(world):
    folder = world.image("my-image", 'FROM a\nCMD ["x"]')
    assert find_image(world.images, "r/my_image:2").folder == folder


@pytest.mark.parametrize("uri", ["nothing", "", "x/..", "x/.", "../../etc"])
def test_an_unknown_image_says_how_to_add_it(world, uri):
    world.image("known", "FROM a")
    with pytest.raises(ImageNotFound, match=r"add a folder .*known images: known"):
        find_image(world.images, uri)


@pytest.mark.parametrize(
    ("dockerfile", "reason"),
    [
        ("# nothing", "has no FROM"),
        ("FROM a\nCOPY gone.txt /x", "copies 'gone.txt'"),
        ('FROM a\nENV A="open', "No closing quotation"),
    ],
)
def test_a_dockerfile_that_cannot_be_followed_is_refused_with_the_reason(world, dockerfile, reason):
    world.image("bad", dockerfile)
    with pytest.raises(ImageInvalid, match=reason):
        find_image(world.images, "bad")


def test_a_folder_without_a_dockerfile_is_refused(world):
    (world.images / "empty").mkdir()
    with pytest.raises(ImageInvalid, match="no Dockerfile"):
        find_image(world.images, "empty")


def test_copy_places_files_folders_and_patterns_as_docker_does(world):
    copies = ("one.txt renamed", "one.txt sub/", "pkg /pkg", "*.md docs/", "one.txt /app")
    text = "FROM a\nWORKDIR /app\n" + "".join(f"COPY {copy}\n" for copy in copies)
    world.image("i", text, one_txt="", pkg__a_py="", pkg__deep__b_py="", x_md="", y_md="")
    assert files(world, "i") == {
        "/app/renamed": "one.txt",
        "/app/sub/one.txt": "one.txt",
        "/pkg/a.py": "a.py",
        "/pkg/deep/b.py": "b.py",
        "/app/docs/x.md": "x.md",
        "/app/docs/y.md": "y.md",
        "/app/one.txt": "one.txt",
    }


def test_files_come_through_another_stage_and_what_only_run_makes_is_left_out(world):
    text = """FROM a AS build
COPY pkg /src/pkg
RUN python -m venv /opt/venv
FROM b AS middle
COPY --from=build /opt/venv /opt/venv
COPY --from=0 /src /app/
FROM middle
COPY one.txt /app/
"""
    world.image("i", text, pkg__a_py="", one_txt="")
    assert files(world, "i") == {"/app/pkg/a.py": "a.py", "/app/one.txt": "one.txt"}


def test_dockerignore_and_byte_code_stay_outside(world):
    folder = world.image("i", "FROM a\nCOPY . /app", keep_py="", drop_log="", sub__x_log="", sub__keep_log="")
    (folder / ".dockerignore").write_text("# comment\n**/*.log\n!sub/keep.log\nDockerfile\n.dockerignore\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "keep.cpython-311.pyc").touch()
    assert files(world, "i") == {"/app/keep.py": "keep.py", "/app/sub/keep.log": "keep.log"}
