"""Where things lie on this machine: the checkout, and one state folder a command."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".state"
INGESTION = "dog_breeds_ingestion"
TABLES = "dog_breeds_tables"


@dataclass(frozen=True, slots=True)
class Place:
    """The state folder of one command (`run`, `up`); everything that the command leaves lies below it."""

    state: Path

    @classmethod
    def of(cls, command: str, base: Path) -> "Place":
        """The place of `command` below `base`, made if it is not there."""
        place = cls(base.resolve() / command)
        place.logs.mkdir(parents=True, exist_ok=True)
        place.airflow_home.mkdir(exist_ok=True)
        place.data.mkdir(exist_ok=True)
        return place

    @property
    def airflow_home(self) -> Path:
        return self.state / "airflow"

    @property
    def logs(self) -> Path:
        """The output of every process, a file each."""
        return self.state / "logs"

    @property
    def data(self) -> Path:
        """What jobs load, when their destination is a local file."""
        return self.state / "data"

    @property
    def duckdb(self) -> Path:
        return self.data / "dog_breeds.duckdb"

    @property
    def emulator_state(self) -> Path:
        return self.state / "gcp_emulator"

    @property
    def image_environments(self) -> Path:
        """Shared by all commands: environments are keyed by their content."""
        return STATE / "image-environments"
