"""A process next to each run that removes what the run leaves behind, even if the run is killed.

An `atexit` handler or a `finally` does not run after `kill -9`. So a process in another session holds a list of what
exists (processes, directories, databases, files to restore) and removes it once the run's end of a pipe closes."""
