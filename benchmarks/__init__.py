"""How fast it is, beside what it is held against, measured in the same run.

`python -m benchmarks` from the repository's root prints every table; names of tables print those alone. With
$ENG_FRA_ARCHIVE set to the seminar's archive they are of the real corpus, else of the embedded one.
"""
