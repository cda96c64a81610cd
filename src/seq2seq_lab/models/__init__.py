"""The models as plain modules, with one builder function for each."""

from seq2seq_lab.models.builders import attention_model, seq2seq_model
from seq2seq_lab.models.decoder import Decoder
from seq2seq_lab.models.encoder import Encoder
from seq2seq_lab.models.seq2seq import Seq2Seq

__all__ = ["Decoder", "Encoder", "Seq2Seq", "attention_model", "seq2seq_model"]
