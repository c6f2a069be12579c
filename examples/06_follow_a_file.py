"""A flow that never ends: it follows a file that another program appends to.

Start it, append lines to live.csv from another terminal, and watch. Ctrl-C stops it in good order;
with the same --state it later goes on behind the last line it read, with all that it remembers.

    streamflow run examples/06_follow_a_file.py --state live
    echo pump,time,bar > live.csv
    echo pump-1,2026-01-01T00:00:00Z,8.1 >> live.csv      # a reading
    echo pump-1,2026-01-01T00:01:00Z,4.2 >> live.csv      # an alert
    echo pump-1,yesterday,4.2 >> live.csv                 # a dead letter
"""

from streamflow import Alert, Flow, Sensor, Validate
from streamflow_connectors import files

flow = (
    Flow("live", device="pump", sensors={"bar": Sensor("bar", low=0, high=25)})
    | files.csv("live.csv", follow=True)
    | Validate()
    | Alert("bar < 5")
    | files.console(of="alerts")
    | files.console(of="dead_letters")
)
