"""What GStreamer's loader for Python reads to find the element bsqdec."""

from gi.repository import Gst

from bsqav.integrations.gstreamer.decoder import BsqDecoder

__gstelementfactory__ = ("bsqdec", Gst.Rank.PRIMARY, BsqDecoder)
