"""The audio of a clip: decoded, cut to the sample, and encoded as AAC beside the clip's frames."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from video.budget import Budget
from video.decoding.continuity import Breaks, audio_packets
from video.decoding.decode import audio_stream, open_container, time_base
from video.decoding.files import FileView, VideoSource

if TYPE_CHECKING:
    from av import AudioStream
    from av.container import InputContainer

_GAP_S = 0.05  # timestamps are rounded (Matroska's to a millisecond): only a larger gap is silence or a jump back
_BEFORE_S = 0.5  # decoders of lossy audio need earlier packets to get the first samples right
_MAX_LEVEL = 16.0  # of a sample, where full scale is 1: larger values are damage, and AAC has no code for NaN
_MIN_HZ, _MAX_HZ = 2_000, 768_000  # of any real recording
# Sample rates of AAC (ISO/IEC 14496-3, table 1.18), in hertz.
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


class AudioTrack:
    """The audio of a video, read apart from its frames. Closing it (`with`) closes what it has opened."""

    def __init__(self, source: VideoSource, bits_per_s: int, budget: Budget) -> None:
        self._source = source
        self._bits_per_s = bits_per_s
        self._budget = budget
        self._container: InputContainer | None = None
        self.breaks = Breaks()  # of the frames' timestamps, and so of the audio's

    def __enter__(self) -> AudioTrack:
        return self

    def __exit__(self, *_: object) -> None:
        if self._container is not None:
            self._container.close()

    def add_to(self, clip: bytes, start_s: float, end_s: float) -> bytes:
        """Adds the audio from `start_s` to `end_s` to the clip, an mp4 without any; returns the new mp4.

        Gaps in the source become silence; a clip without any audio in its time is returned as it is. Memory: the
        samples, 0.4 MB for each second of stereo at 48 kHz. Raises errors of libav, and VideoError when the budget is
        spent.
        """
        from av.stream import Discard

        if self._container is None:
            source = self._source
            audio_source = source if isinstance(source, (str, Path)) else FileView(source)
            self._container = open_container(audio_source, budget=self._budget)
            for stream in self._container.streams:
                stream.discard = Discard.default if stream.type == "audio" else Discard.all
        if audio_stream(self._container) is None:
            return clip
        rate, samples = _samples(self._container, start_s, end_s, self._budget, self.breaks)
        return clip if samples is None else with_audio(clip, samples, rate, self._bits_per_s)


def _samples(
    container: InputContainer, start_s: float, end_s: float, budget: Budget, breaks: Breaks
) -> tuple[int, NDArray[np.float32] | None]:
    """Returns samples per second, and the samples (channels, time) of the interval; None where it has none."""
    from av.audio.resampler import AudioResampler

    stream = cast("AudioStream", audio_stream(container))
    context = stream.codec_context
    rate = min(_RATES, key=lambda known: abs(known - context.sample_rate))
    channels = min(2, context.channels)
    resampler, shape = None, None
    begin, count = round(start_s * rate), round((end_s - start_s) * rate)
    samples, at = None, None
    for frame in _decoded(container, stream, start_s - _BEFORE_S, end_s, budget, breaks):
        if not _MIN_HZ <= frame.sample_rate <= _MAX_HZ:  # one packet at 1 Hz would become gigabytes of samples
            continue
        if resampler is None or shape != _shape(frame):  # a stream may change its format
            resampler, shape = AudioResampler("fltp", "mono" if channels == 1 else "stereo", rate), _shape(frame)
        due = round(frame.pts * time_base(frame) * rate) - begin
        at = due if at is None or abs(due - at) > _GAP_S * rate else at
        for part in resampler.resample(frame):
            levels = samples_of(part)
            if not np.abs(levels).max(initial=0) <= _MAX_LEVEL:
                levels = np.zeros_like(levels)
            skipped, room = max(0, -at), max(0, count - max(0, at))
            inside = levels[:, skipped : skipped + room]
            if inside.shape[1]:
                samples = np.zeros((channels, count), np.float32) if samples is None else samples
                samples[:, at + skipped : at + skipped + inside.shape[1]] = inside
            at += levels.shape[1]
    return rate, samples


def samples_of(frame: Any) -> NDArray[np.float32]:
    """Returns the samples of a decoded frame, (channels, time)."""
    return frame.to_ndarray()


def _shape(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _decoded(
    container: InputContainer, stream: Any, start_s: float, end_s: float, budget: Budget, breaks: Breaks
) -> Iterator[Any]:
    """Yields the decoded frames of audio from a little before `start_s` to `end_s`, without those that can't be
    decoded.
    """
    from av.error import FFmpegError

    if breaks.offsets_s:
        packets: Any = audio_packets(container, stream, breaks, start_s)
    else:
        container.seek(int(start_s / time_base(stream)), stream=stream, backward=True)
        packets = container.demux(stream)
    for packet in packets:
        budget.check_time()
        try:
            frames = packet.decode()
        except FFmpegError:
            continue
        for frame in frames:
            if frame.pts is None or frame.sample_rate <= 0:
                continue
            if frame.time + frame.samples / frame.sample_rate < start_s:
                continue
            if frame.time >= end_s:
                return
            yield frame


def with_audio(clip: bytes, samples: NDArray[np.float32], rate: int, bit_rate: int) -> bytes:
    """Adds samples (channels, time), `rate` a second from time 0 on, as AAC to an mp4 of frames alone."""
    import av

    layout = "mono" if len(samples) == 1 else "stereo"
    both = io.BytesIO()
    # Interleaved over the whole length: the frames' packets come first, and are not many bytes.
    options = {"fflags": "+bitexact", "max_interleave_delta": "0"}
    with av.open(io.BytesIO(clip), "r") as source, av.open(both, "w", format="mp4", options=options) as target:
        video = target.add_stream_from_template(source.streams.video[0], opaque=True)
        audio: Any = target.add_stream("aac", rate=rate, layout=layout)
        audio.bit_rate = bit_rate
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = video
                target.mux_one(packet)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for packet in [*audio.encode(frame), *audio.encode(None)]:
            target.mux_one(packet)
    return both.getvalue()
