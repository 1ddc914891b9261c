"""Questions that are asked before any load: does what our files name exist, and is it what they say?

    answers.py    one answer: ok, refused, noted, not told; with a sentence and what to do
    needs.py      what the verdict of a plan will rest on, criterion by criterion
    connect.py    connectors, and the names that MM2 gives mirrors        pure, over what was fetched
    metrics.py    scrape jobs and metrics in Prometheus                   pure, over what was fetched
    fetch.py      asks Connect and Prometheus                             the only part that opens a socket
    program.py    all of it, within a deadline; `mm2gate run`, Locust and the web UI start it as a program

A name that is found, and contradicts, is refused. One that is absent is no contradiction unless it must be there by
now. Whoever does not answer has told nothing: the run goes on, and says so.
"""
