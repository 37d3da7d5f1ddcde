#!/bin/sh
# Any ffmpeg at both ends of a pipe: what it decodes becomes BSQ, and BSQ becomes what it codes.
#
# sh ffmpeg_pipe.sh in.mp4 coded.mkv out.mp4
set -eu

ffmpeg -v error -i "$1" -c:v rawvideo -c:a copy -f nut - |
  bsqav transcode - "$2" --crf 32 --quiet -y

bsqav transcode "$2" - --quiet |
  ffmpeg -v error -y -i - -fps_mode passthrough -c:v libx264 -crf 20 -c:a copy "$3"
