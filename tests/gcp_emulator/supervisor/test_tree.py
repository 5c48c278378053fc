"""A process or byte that is not found is one that escapes its limit."""

import os
import subprocess

import pytest

from gcp_emulator.supervisor import tree


@pytest.fixture
def family():
    """A shell, its child, and the child's child; all end with the pipe."""
    command = ["sh", "-c", "sh -c 'cat; true'; true"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b"up\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"up\n"
        yield process.pid
        process.stdin.close()
        process.stdout.read()


@pytest.mark.parametrize("kernel_lists_children", [True, False])
def test_descendants_are_found_on_every_kernel(family, monkeypatch, kernel_lists_children):
    monkeypatch.setattr(tree, "_children_are_listed", lambda: kernel_lists_children)
    below = tree.descendants(family)
    assert len(below) == 2
    assert below == [below[0], *tree.descendants(below[0])]
    assert family in tree.descendants(os.getpid())


def test_who_is_gone_has_no_descendants_and_no_memory():
    process = subprocess.Popen(["true"])
    process.wait()
    assert tree.descendants(process.pid) == []
    assert tree.memory(process.pid) == 0
    assert tree.resident(process.pid) == 0


def test_memory_is_shared_out_and_never_more_than_what_is_resident():
    assert 0 < tree.memory(os.getpid()) <= tree.resident(os.getpid()) * 1.5


def test_disk_counts_bytes_once_and_no_holes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 10_000)
    (tmp_path / "same").hardlink_to(tmp_path / "a" / "file")
    (tmp_path / "link").symlink_to("/usr")
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 30)
    assert 10_000 <= tree.disk([str(tmp_path)]) < 20_000


def test_a_folder_that_is_gone_takes_nothing(tmp_path):
    assert tree.disk([str(tmp_path / "gone")]) == 0
