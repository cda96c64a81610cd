"""The models as plain modules, with one builder function for each."""

from seq2seq_lab.models.builders import attention_model, seq2seq_model
from seq2seq_lab.models.decoder import Decoder
from seq2seq_lab.models.encoder import Encoder
from seq2seq_lab.models.interface import Model
from seq2seq_lab.models.seq2seq import Seq2Seq
from seq2seq_lab.models.transformer.build import transformer_model
from seq2seq_lab.models.transformer.model import Transformer

__all__ = [
    "Decoder",
    "Encoder",
    "Model",
    "Seq2Seq",
    "Transformer",
    "attention_model",
    "seq2seq_model",
    "transformer_model",
]
