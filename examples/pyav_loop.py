"""PyAV reads and writes BSQ: codes the video of a file anew, with its sound copied beside it.

python pyav_loop.py in.mp4 out.mkv
"""

import sys

import av

import bsqav

bsqav.install()

with av.open(sys.argv[1]) as source, av.open(sys.argv[2], "w") as target:
    video = source.streams.video[0]
    coded = target.add_stream("bsq", rate=video.average_rate, options={"crf": "32"})
    copies = {sound.index: target.add_stream_from_template(sound) for sound in source.streams.audio}
    for packet in source.demux():
        if packet.stream is video:
            for frame in packet.decode():
                target.mux(coded.encode(frame))
        elif packet.stream_index in copies and packet.dts is not None:
            packet.stream = copies[packet.stream_index]
            target.mux(packet)
    target.mux(coded.encode(None))

with av.open(sys.argv[2]) as container:
    print(sum(1 for _ in container.decode(video=0)), "frames")
