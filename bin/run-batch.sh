#!/bin/sh
# Submits a Batch job through Airflow's REST API; --help tells all. Needs Python 3.11 or newer, nothing else.
here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-}
for candidate in "$here/.state/venv/bin/python" python3 python3.13 python3.12 python3.11; do
  [ -n "$python" ] && break
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; fi
done
if [ -z "$python" ]; then
  echo "run-batch: no Python 3.11 or newer is on the PATH; name one in PYTHON" >&2
  exit 3
fi
PYTHONPATH="$here/include${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -m batch_client "$@"
