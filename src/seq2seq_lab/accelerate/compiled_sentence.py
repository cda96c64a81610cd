"""Updates on single sentences, compiled."""

from seq2seq_lab.accelerate.select import Job, Updates


class CompiledSentence:
    """Updates on single sentences, compiled by Numba."""

    def refuses(self, job: Job) -> str | None:
        """Why a job is not for it; None where it is."""
        return "it is not there yet"

    def updates(self, job: Job) -> Updates:
        """Its updates of a job."""
        raise NotImplementedError
