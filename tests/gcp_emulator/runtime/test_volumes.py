"""What a container reads and writes at its mount paths."""

import pytest

from gcp_emulator.runtime import Isolation
from gcp_emulator.runtime.model import End, Mount, SecretFile, TaskSpec, Volume

SECRET = Volume("keys", files={"key": SecretFile(b"s3cret"), "ssh/id": SecretFile(b"id", 0o400)})
AT = (Mount("keys", "/secrets/app"),)


def test_a_secret_file_is_read_by_a_path_from_the_environment_or_an_argument(each_world):
    script = 'cat "$KEY"; echo; cat $0; stat -c %a "$KEY" $0'
    ran = each_world.shell(
        script, args=("/secrets/app/ssh/id",), env={"KEY": "/secrets/app/key"}, volumes=(SECRET,), mounts=AT
    )
    assert ran.lines == ["s3cret", "id444", "400"]


def test_paths_within_a_command_and_within_a_value_are_found(each_world):
    script = "cat /secrets/app/key; cat ${OPTIONS#--key=}"
    ran = each_world.shell(script, env={"OPTIONS": "--key=/secrets/app/key"}, volumes=(SECRET,), mounts=AT)
    assert ran.lines == ["s3crets3cret"]


def test_a_path_written_into_a_program_is_found_where_namespaces_are_allowed(world, possible):
    if possible is not Isolation.MOUNTS:
        pytest.skip("this machine refuses mount namespaces")
    code = "print(open('/secrets/app/key').read(), open('/app/main.py').read()[:5])"
    assert world.python(code, volumes=(SECRET,), mounts=AT).lines == ["s3cret print"]


def test_secrets_cannot_be_written_where_namespaces_are_allowed(world, possible):
    if possible is not Isolation.MOUNTS:
        pytest.skip("this machine refuses mount namespaces")
    ran = world.shell("echo x > /secrets/app/key", volumes=(SECRET,), mounts=AT)
    assert ran.result.exit_code != 0
    assert "Read-only file system" in ran.lines[0]


def test_a_mount_hides_what_the_image_has_there(each_world):
    each_world.image("script", "FROM debian\nCOPY . /secrets/app", old_txt="")
    ran = each_world.shell("ls $0", args=("/secrets/app",), volumes=(SECRET,), mounts=AT)
    assert ran.lines == ["key", "ssh"]


def test_containers_share_an_in_memory_volume_which_ends_with_the_task(each_world):
    mounts = (Mount("v", "/shared"),)
    writer = each_world.script(
        "writer", "echo hello > $0/f.tmp; mv $0/f.tmp $0/f", args=("/shared",), mounts=mounts
    )
    script = "while ! test -e $0/f; do sleep 0.02; done; cat $0/f"
    reader = each_world.script("reader", script, args=("/shared",), mounts=mounts)
    spec = TaskSpec("t", (reader, writer), volumes=(Volume("v"),), timeout_s=20)
    assert each_world.run(spec).lines == ["hello"]
    empty = TaskSpec(
        "t", (each_world.script("r", "ls $0", args=("/shared",), mounts=mounts),), volumes=(Volume("v"),)
    )
    assert each_world.run(empty).lines == []


def test_a_buckets_folder_outlives_the_task(each_world, tmp_path):
    bucket = Volume("b", path=str(tmp_path / "bucket"))
    ran = each_world.shell(
        "echo kept > $OUT/f", env={"OUT": "/mnt/b"}, volumes=(bucket,), mounts=(Mount("b", "/mnt/b"),)
    )
    assert ran.result.exit_code == 0
    assert (tmp_path / "bucket" / "f").read_text() == "kept\n"


def test_a_folder_that_the_job_has_yet_to_make_in_a_bucket_is_the_buckets(each_world, tmp_path):
    """A report's name says where it goes; on the emulator's side nothing of it is there before."""
    bucket = Volume("b", path=str(tmp_path / "bucket"))
    ran = each_world.shell(
        'mkdir -p "$(dirname "$OUT")" && echo kept > "$OUT.html"',
        env={"OUT": "/mnt/b/of/a+run"},
        volumes=(bucket,),
        mounts=(Mount("b", "/mnt/b"),),
    )
    assert ran.result.exit_code == 0, ran.lines
    assert (tmp_path / "bucket" / "of" / "a+run.html").read_text() == "kept\n"


def test_a_file_of_the_laptop_that_the_job_names_can_be_written(each_world, tmp_path):
    """A local database given by its path: the job's destination lies outside of the container."""
    database = tmp_path / "made" / "by-the-job" / "db.duckdb"
    script = 'mkdir -p "$(dirname "$DB")" && echo row > "$DB"'
    assert each_world.shell(script, env={"DB": str(database)}).result.exit_code == 0
    assert database.read_text() == "row\n"


def test_slash_tmp_is_the_tasks_own_where_namespaces_are_allowed(world, possible):
    """Two tasks that write /tmp/out must not meet."""
    if possible is not Isolation.MOUNTS:
        pytest.skip("this machine refuses mount namespaces")
    script = "test ! -e /tmp/met-before && touch /tmp/met-before"
    assert [world.shell(script).result.exit_code for _ in range(2)] == [0, 0]


@pytest.mark.parametrize(
    ("volume", "path", "reason"),
    [
        (Volume("v"), "/", "cannot be mounted at '/'"),
        (Volume("v"), "relative", "cannot be mounted at 'relative'"),
        (Volume("v", files={"../../out": SecretFile(b"x")}), "/v", "outside of itself"),
    ],
)
def test_a_volume_stays_in_its_place(world, volume, path, reason):
    result = world.shell("true", volumes=(volume,), mounts=(Mount("v", path),)).result
    assert result.end is End.NOT_STARTED
    assert reason in result.message


def test_a_mount_within_a_mount(each_world):
    volumes = (Volume("outer"), Volume("inner", files={"f": SecretFile(b"x")}))
    mounts = (Mount("inner", "/data/in/deep"), Mount("outer", "/data"))
    ran = each_world.shell(
        "touch $0/o; cat $0/in/deep/f; ls $0", args=("/data",), volumes=volumes, mounts=mounts
    )
    assert ran.lines == ["xin", "o"]
