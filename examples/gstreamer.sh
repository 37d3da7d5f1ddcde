#!/bin/sh
# GStreamer writes a Matroska file with BSQ and sound, and reads it again.
#
# sh gstreamer.sh coded.mkv out.wav
set -eu

eval "$(python -m bsqav.integrations.gstreamer)"

gst-launch-1.0 -q -e \
  videotestsrc num-buffers=50 ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! \
  queue ! bsqenc crf=32 ! queue ! mux. \
  audiotestsrc num-buffers=86 ! audio/x-raw,rate=48000 ! audioconvert ! opusenc ! queue ! mux. \
  matroskamux name=mux ! filesink location="$1"

# In place of the sinks, autovideosink and autoaudiosink play it; so does playbin uri=file:///...
gst-launch-1.0 -q \
  filesrc location="$1" ! decodebin name=file \
  file. ! video/x-raw ! queue ! videoconvert ! fakesink \
  file. ! audio/x-raw ! queue ! audioconvert ! wavenc ! filesink location="$2"
