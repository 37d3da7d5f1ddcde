#!/usr/bin/env bash
# Builds an FFmpeg with BSQ: registers the codec in FFMPEG_SOURCE, then configures, compiles and
# installs ffmpeg, ffprobe and (where SDL2 is there) ffplay in PREFIX.
#
#   build.sh FFMPEG_SOURCE PREFIX [CONFIGURE_OPTION...]
#
# libbsq is found by pkg-config. Without options the build is a small one: BSQ, H.264 (libx264 where
# it is installed), and the usual codecs, containers and filters. With options those alone count, and
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
  # What people have: their files are read, and their sound is copied and played.
  --enable-decoder=ffv1,h264,hevc,mjpeg,mpeg1video,mpeg2video,mpeg4,png,rawvideo,wrapped_avframe
  --enable-decoder=aac,ac3,alac,eac3,flac,mp2,mp3,opus,vorbis
  --enable-decoder=pcm_f32le,pcm_s16be,pcm_s16le,pcm_s24le,pcm_s32le,pcm_u8
  --enable-decoder=ass,mov_text,srt,subrip,webvtt
  --enable-demuxer=aac,ac3,ass,avi,concat,eac3,flac,flv,h264,hevc,hls,image2,ivf,matroska,mjpeg,mov
  --enable-demuxer=mp3,mpegps,mpegts,mpegvideo,nut,ogg,rawvideo,srt,wav,webvtt,yuv4mpegpipe
  --enable-parser=aac,ac3,flac,h264,hevc,mjpeg,mpeg4video,mpegaudio,mpegvideo,opus,png,vorbis,vp8
  --enable-parser=vp9
  # What the containers take where no codec is named (ac3 for Matroska, mp2 for NUT), and pictures.
  --enable-encoder=aac,ac3,ffv1,flac,mjpeg,mp2,mpeg4,png,rawvideo,wrapped_avframe
  --enable-encoder=pcm_s16le,pcm_s24le,ass,mov_text,srt,subrip,webvtt
  --enable-muxer=ac3,adts,avi,flac,framehash,framemd5,hash,hls,image2,image2pipe,ivf,matroska,mjpeg
  --enable-muxer=mov,mp2,mp4,mpegts,null,nut,rawvideo,segment,srt,stream_segment,tee,wav
  --enable-muxer=yuv4mpegpipe
  --enable-bsf=aac_adtstoasc,extract_extradata,h264_mp4toannexb,hevc_mp4toannexb
  --enable-bsf=mpeg4_unpack_bframes,noise,null,setts,vp9_superframe
  --enable-protocol=concat,data,fd,file,pipe --enable-indev=lavfi
  --enable-filter=aformat,anull,anullsrc,aresample,asetpts,asplit,atempo,atrim,color,concat,copy
  --enable-filter=crop,format,fps,hflip,hstack,null,overlay,pad,psnr,rotate,scale,select,setdar
  --enable-filter=setfield,setparams,setpts,setsar,sine,split,ssim,testsrc,testsrc2,transpose,trim
  --enable-filter=vflip,volume,vstack,yadif
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
# make does not see libbsq.a: what was linked with an older one is linked anew.
library="$(pkg-config --variable=libdir bsq)/libbsq.a"
for program in ffmpeg_g ffprobe_g ffplay_g; do
  [[ "$program" -nt "$library" ]] || rm -f "$program"
done
jobs="$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)"
make -s -j "$jobs"
make -s install-progs
echo "installed in $prefix/bin: $(cd "$prefix/bin" && echo ff*)"
