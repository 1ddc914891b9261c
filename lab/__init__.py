"""Two real Kafka clusters, Connect with MirrorMaker 2 and Prometheus on one machine, and handles on each part.

    setup      →  cache       what a machine needs once: Java, Kafka's jars, Prometheus (see `tools`)
    layout     →  state dir   where one lab's files lie; `state` is what it remembers between two commands
    rendering  →  conf/       every configuration file of the lab, as pure text
    component  →  processes   start, stop, kill, freeze and thaw one part, by pid and start time
    lab        →  all of it   up, heal, down, and the handles that tests and faults take hold of

Everything listens on 127.0.0.1. A lab is a directory: two labs in two directories know nothing of each other.
"""
