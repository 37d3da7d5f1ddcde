"""The process that runs one job in the build under test: identify, encode or decode.

python -P worker.py JOB ARGUMENTS-AS-JSON; the last line of its output is a report as JSON. Run by
its path, since `bsqav` is that of the build: the settings, the model and the code between frames
and packets are all of the build.
"""

import hashlib
import json
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from fractions import Fraction
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from pathlib import Path
from typing import Any

_LENGTH = struct.Struct("<I")
_SWITCH = {"on": True, "off": False, "true": True, "false": False, "1": True, "0": False}
# Change no packet beyond the quality, which a result is filed under anyway.
_NOT_IDENTITY = ("crf", "threads")


def use_folder(folder: str) -> None:
    """Makes `import bsqav` find the package in `folder`, and no installed one."""
    # the finder of an editable installation would come before the path
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, PathFinder]
    sys.path.insert(0, folder)


def identify(settings: Mapping[str, str], model: str | None) -> dict[str, Any]:
    """What the packets depend on besides the frames: the library's bytes, model, settings."""
    from bsqav import _core
    from bsqav.codec.models import find_model
    from bsqav.evaluation.io import coding, y4m

    digest = hashlib.sha256()
    for path in (_core.__file__, coding.__file__, y4m.__file__, __file__):
        digest.update(Path(str(path)).read_bytes())
    chosen = _settings(settings)
    for name in _NOT_IDENTITY:
        chosen.pop(name, None)
    return {
        "program": digest.hexdigest(),
        "model": find_model(model).id,
        "settings": chosen,
    }


def encode(y4m: str, out: str, settings: Mapping[str, str], model: str | None) -> dict[str, Any]:
    """Encodes a y4m file; gives CPU seconds, peak memory and what is known of every packet."""
    from bsqav.codec.models import find_model
    from bsqav.evaluation.io import coding
    from bsqav.evaluation.io.process import peak_memory
    from bsqav.evaluation.io.y4m import Y4mFile

    chosen = _settings(settings)
    crf = chosen.pop("crf")
    clip = Y4mFile(Path(y4m))
    weights = find_model(model)
    start = time.process_time()
    coded = coding.encode((clip[i] for i in range(len(clip))), weights, crf, **chosen)
    seconds = time.process_time() - start
    with Path(out).open("wb") as stream:
        for packet, _ in coded:
            stream.write(_LENGTH.pack(len(packet.data)) + packet.data)
    return {
        "seconds": seconds,
        "memory": peak_memory(),
        "sizes": [len(packet.data) for packet, _ in coded],
        "stats": [{**stats, "keyframe": packet.keyframe} for packet, stats in coded],
    }


def decode(
    stream: str, y4m: str, model: str | None, size: tuple[int, int], rate: tuple[int, int]
) -> dict[str, Any]:
    """Decodes what `encode` has written into y4m; gives CPU seconds and peak memory."""
    import bsqav
    from bsqav.evaluation.io.process import peak_memory
    from bsqav.evaluation.io.y4m import Y4mHeader, Y4mWriter

    decoder = bsqav.Decoder(models=() if model is None else (model,), threads=1)
    start = time.process_time()
    with Y4mWriter(Path(y4m), Y4mHeader(*size, Fraction(*rate))) as writer:
        for data in (*_packets(Path(stream)), None):
            for frame in decoder.decode(data):
                planes: Any = frame.planes
                writer.write(planes)
    return {"seconds": time.process_time() - start, "memory": peak_memory()}


def _packets(stream: Path) -> Iterator[bytes]:
    data = stream.read_bytes()
    at = 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        yield data[at : at + length]
        at += length


def _settings(texts: Mapping[str, str]) -> dict[str, Any]:
    """All settings of the build, those of files where `texts` does not have others."""
    from bsqav.codec.settings import SETTINGS, EncoderSettings

    readers: dict[str, Callable[[str], Any]] = {
        "integer": int,
        "number": float,
        "boolean": _SWITCH.__getitem__,
        "choice": str,
    }
    values = {}
    for name, text in texts.items():
        if name not in SETTINGS:
            raise ValueError(f"no setting {name!r}; there is {', '.join(SETTINGS)} and model")
        try:
            values[name] = readers[SETTINGS[name].type](text)
        except (KeyError, ValueError):
            raise ValueError(f"{name}={text}: {SETTINGS[name].type} wanted") from None
    return asdict(EncoderSettings.for_files().changed(values))


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    "identify": identify,
    "encode": encode,
    "decode": decode,
}


def main() -> int:
    """Runs the job that the command line names."""
    arguments = json.loads(sys.argv[2])
    folder = arguments.pop("folder")
    try:
        if folder is not None:
            use_folder(folder)
        report = JOBS[sys.argv[1]](**arguments)
    except Exception as error:  # whatever a build raises is its answer
        report = {"error": str(error) or type(error).__name__}
    print(json.dumps(report))
    return 1 if "error" in report else 0


if __name__ == "__main__":
    sys.exit(main())
