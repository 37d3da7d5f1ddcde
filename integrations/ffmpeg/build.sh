#!/usr/bin/env bash
# Builds an FFmpeg with BSQ: registers the codec in FFMPEG_SOURCE, then configures, compiles and
# installs ffmpeg, ffprobe and (where SDL2 is there) ffplay in PREFIX.
#
#   build.sh FFMPEG_SOURCE PREFIX [CONFIGURE_OPTION...]
#
# libbsq is found by pkg-config. Without options the build is a small one: BSQ, H.264 (libx264 where
# it is installed), AAC, and the usual containers and filters. With options those alone count, and
# --enable-libbsq. Objects go to FFMPEG_SOURCE/build-bsq, so that a second call goes on from there.
set -euo pipefail

if [[ $# -lt 2 ]]; then
  sed -n '2,/^set/p' "${BASH_SOURCE[0]}" | sed -n 's/^# \{0,1\}//p' >&2
  exit 2
fi
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source="$(cd "$1" && pwd)"
mkdir -p "$2"
prefix="$(cd "$2" && pwd)"
shift 2

if ! pkg-config --exists bsq; then
  echo "build.sh: pkg-config does not find bsq: install libbsq (cmake --install), and set" \
    "PKG_CONFIG_PATH to the folder of bsq.pc where it is not a standard one" >&2
  exit 1
fi
python3 "$here/register.py" "$source"

small=(
  --disable-everything --disable-autodetect --disable-doc --disable-debug --disable-network
  --enable-libbsq --enable-encoder=libbsq --enable-decoder=libbsq
  --enable-decoder=aac,ass,h264,mov_text,pcm_s16le,rawvideo,srt,subrip
  --enable-encoder=aac,ass,mov_text,pcm_s16le,rawvideo,srt,subrip
  --enable-decoder=wrapped_avframe --enable-encoder=wrapped_avframe
  --enable-demuxer=aac,avi,concat,h264,hls,image2,ivf,matroska,mov,nut,rawvideo,srt,wav
  --enable-demuxer=yuv4mpegpipe
  --enable-muxer=avi,framehash,framemd5,hash,hls,image2,image2pipe,matroska,mov,mp4,null,nut
  --enable-muxer=rawvideo,segment,srt,stream_segment,tee,wav,yuv4mpegpipe
  --enable-parser=aac,h264
  --enable-bsf=aac_adtstoasc,extract_extradata,h264_mp4toannexb,noise,null,setts
  --enable-protocol=data,fd,file,pipe --enable-indev=lavfi
  --enable-filter=aformat,anull,aresample,atrim,color,copy,crop,format,fps,hflip,null,pad,rotate
  --enable-filter=scale,select,setdar,setfield,setparams,setpts,setsar,sine,testsrc,testsrc2
  --enable-filter=transpose,trim,vflip,yadif
)
options=("$@")
if [[ ${#options[@]} -eq 0 ]]; then
  options=("${small[@]}")
  if pkg-config --exists x264; then
    options+=(--enable-gpl --enable-libx264 --enable-encoder=libx264)
  fi
  if pkg-config --exists sdl2; then
    options+=(--enable-sdl2 --enable-ffplay)
  else
    echo "build.sh: SDL2 is not installed (libsdl2-dev): there will be no ffplay" >&2
  fi
  command -v nasm >/dev/null || options+=(--disable-x86asm)
else
  options+=(--enable-libbsq)
fi

mkdir -p "$source/build-bsq"
cd "$source/build-bsq"
# What was configured before is kept as long as the options and libbsq's folder are the same.
settings="$(printf '%s\n' "$prefix" "$(pkg-config --variable=modeldir bsq)" "${options[@]}")"
if [[ "$(cat settings.txt 2>/dev/null)" != "$settings" ]]; then
  "$source/configure" --prefix="$prefix" --pkg-config-flags=--static "${options[@]}" ||
    { tail -n 20 ffbuild/config.log >&2; exit 1; }
  printf '%s\n' "$settings" >settings.txt
fi
jobs="$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)"
make -s -j "$jobs"
make -s install-progs
echo "installed in $prefix/bin: $(cd "$prefix/bin" && echo ff*)"
