"""The judge: from a run record to evidence, measurements, verdicts and reports. Only `collect` opens a socket."""
