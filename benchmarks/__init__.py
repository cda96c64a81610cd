"""Benchmarks: the speed of the package and of a reference, measured in the same run.

`python -m benchmarks` in the root of the repository prints all tables; with names of tables it prints only these. If
$ENG_FRA_ARCHIVE is set to the seminar's archive, the real corpus is used, otherwise the embedded one.
"""
