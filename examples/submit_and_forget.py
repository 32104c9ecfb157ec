"""Submits a job and leaves: what the daemon has accepted is safe, and `stoker status` shows what became of it.

Each night by cron, which mails what goes wrong, with a key where the daemon asks for one (`crontab -e`):

    30 2 * * * STOKER_KEY=$HOME/me.key /opt/stoker/bin/python $HOME/submit_and_forget.py "a tiny owl" >/dev/null
"""

import sys

from stoker_client import Client
from stoker_client.errors import StokerError

prompts = sys.argv[1:] or ["a tiny teal dragon", "a mossy stone tile"]
try:
    with Client() as client:
        job = client.submit(prompts, name="an example", priority="low", params={"steps": 4})
except StokerError as error:
    sys.exit(f"{error}")
print(job.job_id)
