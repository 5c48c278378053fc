"""How much one triggerer may hold: it keeps a log file open for each task that waits in it."""

import resource

FILES = 65_536
WAITS = 25_000
A_LOOP = (
    250  # of Airflow's loop of a second: 50 take minutes for 20,000 waits, 1,000 keep it silent for too long
)
OTHERS = 1_000  # files that are no waiting task's log


def open_files() -> int:
    """How many open files a process of ours may be allowed: FILES, or this process's hard limit where that is less."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)


def raise_open_files() -> int:
    """Allows this process and those that it starts `open_files()`, unless they are allowed more; gives that number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = open_files()
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def triggerer(files: int) -> dict[str, str]:
    """Airflow's settings for a triggerer with so many open files: how many tasks wait in it, and how fast it takes up.

    The options are those of section [triggerer] of Airflow 3.3's configuration.
    """
    return {
        "AIRFLOW__TRIGGERER__CAPACITY": str(min(WAITS, max(files - OTHERS, files // 2))),
        "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": str(A_LOOP),
    }
