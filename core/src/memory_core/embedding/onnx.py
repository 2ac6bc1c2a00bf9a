"""all-MiniLM-L6-v2 run by onnxruntime.

Mean pooling over the last hidden state, then scaling to length 1, as the model was trained
(sbert.net, ``all-MiniLM-L6-v2``: ``1_Pooling`` mean tokens, ``2_Normalize``).
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from memory_core.embedding.cores import available_cores
from memory_core.embedding.manifest import (
    MODEL_FILE,
    QUERY_FILE,
    TOKENIZER_FILE,
    read_manifest,
)
from memory_core.embedding.port import Vectors, normalised, storable
from memory_core.errors import ModelBroken, ModelMissing

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MODEL_NAME: Final = "all-MiniLM-L6-v2"
DIMENSION: Final = 384
MAX_TOKENS: Final = 256
"""What the model was trained for; the rest of a text is not seen."""

MAX_CHARACTERS: Final = 16_384
"""Longer texts are cut before tokenizing: 256 tokens lie well within, and time stays bounded."""

TOKEN_BUDGET: Final = 1_024
"""Tokens of one run, padding included. Activations grow with it, throughput hardly does."""

_SORTED_TEXTS: Final = 1_024
"""Texts tokenized and sorted by length together: bounds the memory that encodings take."""

_MAX_THREADS: Final = 8


def batches(lengths: Sequence[int], budget: int = TOKEN_BUDGET) -> Iterator[list[int]]:
    """Yields positions of ``lengths``, grouped so that little padding is needed.

    The longest come first, so that memory reaches its peak at once. A group of n texts whose
    longest has m tokens fulfils n * m <= budget, unless it is a single text.
    """
    order = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def _padded(encodings: Sequence[Encoding]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns token ids and attention mask, each (texts, longest); padding is zero."""
    longest = max(len(encoding) for encoding in encodings)
    ids = np.zeros((len(encodings), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        tokens = encoding.ids
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


class OnnxEmbedder:
    """The default provider: exact float32 inference on the processor, 8 bits for questions."""

    def __init__(
        self,
        model_file: Path,
        tokenizer_file: Path,
        *,
        query_file: Path | None = None,
        model: str = MODEL_NAME,
        max_tokens: int = MAX_TOKENS,
        threads: int | None = None,
        for_questions: bool = False,
    ) -> None:
        """Loads the model.

        Args:
            model_file: the ONNX file.
            tokenizer_file: the ``tokenizer.json`` that belongs to it.
            query_file: the same model in 8 bits, for questions; else they take the first.
            model: the name under which vectors are kept.
            max_tokens: where texts are cut.
            threads: for one run over texts; all available cores, at most 8, when not given. A
                question takes one: that is quicker than waking others for so little.
            for_questions: load the exact model only when a text is embedded: most commands ask
                one question, and loading it takes longer than answering.

        Raises:
            ModelMissing: onnxruntime or tokenizers is not installed.
            ModelBroken: a file is not what it should be.
        """
        require_runtime()
        self.model = model
        self.dimension = DIMENSION
        cores = threads or min(available_cores(), _MAX_THREADS)
        self._tokenizer = _load_tokenizer(tokenizer_file, max_tokens)
        self._load_exact = partial(_load_session, model_file, cores)
        self._loading = threading.Lock()
        self._exact = None if for_questions and query_file else self._load_exact()
        self._query_session = _load_session(query_file, 1) if query_file else self._session
        self._inputs = frozenset(item.name for item in self._query_session.get_inputs())

    @property
    def _session(self) -> Any:
        with self._loading:
            if self._exact is None:
                self._exact = self._load_exact()
            return self._exact

    @classmethod
    def load(
        cls, model_dir: Path, *, threads: int | None = None, for_questions: bool = False
    ) -> OnnxEmbedder:
        """Returns the embedder of an installed model.

        Raises:
            ModelMissing: nothing is installed there, or onnxruntime or tokenizers is not.
            ModelBroken: the install is damaged.
        """
        try:
            return cls._load(model_dir, threads, for_questions)
        except ModelBroken:
            # An installation may have replaced the files after their names were read.
            return cls._load(model_dir, threads, for_questions)

    @classmethod
    def _load(cls, model_dir: Path, threads: int | None, for_questions: bool) -> OnnxEmbedder:
        manifest = read_manifest(model_dir)
        if manifest.dimension != DIMENSION:
            raise ModelBroken(f"a model of {manifest.dimension} dimensions, expected {DIMENSION}")
        folder = model_dir / manifest.folder
        suffix = "" if manifest.precision == "fp32" else f"-{manifest.precision}"
        return cls(
            folder / MODEL_FILE,
            folder / TOKENIZER_FILE,
            query_file=folder / QUERY_FILE if QUERY_FILE in manifest.files else None,
            model=manifest.name + suffix,
            max_tokens=manifest.max_tokens,
            threads=threads,
            for_questions=for_questions,
        )

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Returns the vectors of the texts, (len(texts), 384), in their order."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), _SORTED_TEXTS):
            part = [
                storable(text[:MAX_CHARACTERS]) for text in texts[start : start + _SORTED_TEXTS]
            ]
            encodings = self._tokenizer.encode_batch_fast(part)
            for group in batches([len(encoding) for encoding in encodings]):
                positions = [start + position for position in group]
                group_of = [encodings[position] for position in group]
                vectors[positions] = self._run(group_of, self._session)
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Returns the vector of a question, (384,)."""
        encoding = self._tokenizer.encode_batch_fast([storable(text[:MAX_CHARACTERS])])
        vector: Vectors = self._run(encoding, self._query_session)[0]
        return vector

    def _run(self, encodings: Sequence[Encoding], session: Any) -> Vectors:
        ids, mask = _padded(encodings)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden: NDArray[np.float32] = session.run(
            None, {name: values for name, values in feed.items() if name in self._inputs}
        )[0]
        weights = mask.astype(np.float32)[:, np.newaxis, :]
        return normalised(np.matmul(weights, hidden)[:, 0, :])


def require_runtime() -> None:
    """Checks that the libraries are there.

    Raises:
        ModelMissing: onnxruntime or tokenizers is not installed.
    """
    for library in ("onnxruntime", "tokenizers"):
        if importlib.util.find_spec(library) is None:
            raise ModelMissing(f"{library} is not installed; install memory-context[agent]")


def _load_tokenizer(path: Path, max_tokens: int) -> Tokenizer:
    from tokenizers import Tokenizer  # noqa: PLC0415 - loaded only where it is used

    try:
        tokenizer = Tokenizer.from_str(path.read_text("utf-8"))
    except Exception as error:
        raise ModelBroken(f"{str(path)!r} is not a tokenizer: {error}") from error
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()
    return tokenizer


def _load_session(path: Path, threads: int) -> Any:
    import onnxruntime  # noqa: PLC0415 - loaded only where it is used

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    # Spinning workers save a millisecond on an idle machine, but throughput falls to a third
    # as soon as anything else wants a core: the request handlers of the same process do.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelBroken(f"{str(path)!r} is not a model that onnxruntime loads") from error
