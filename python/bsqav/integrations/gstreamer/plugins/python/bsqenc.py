"""What GStreamer's loader for Python reads to find the element bsqenc."""

from gi.repository import Gst

from bsqav.integrations.gstreamer.encoder import BsqEncoder

__gstelementfactory__ = ("bsqenc", Gst.Rank.PRIMARY, BsqEncoder)
