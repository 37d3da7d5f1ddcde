// How much of the pictures to come each part of a picture is worth: what is predicted from it, from
// that, and so on. Not normative.
#pragma once

#include <span>
#include <vector>

#include "codec/common/geometry.h"
#include "codec/encoder/aq/lowres_analysis.h"

namespace bsq {

// Keeps its memory from picture to picture.
class Importance {
 public:
  // That of every window of the first picture, in octaves: 0 where nothing to come is predicted
  // from it, and one more for every doubling of all that hangs on it. `pictures`: costs of the
  // picture and of those that follow, in order. The result lasts until the next call.
  std::span<const double> of(std::span<const PictureCosts* const> pictures,
                             const Geometry& geometry);

 private:
  std::vector<double> windows_;
  std::vector<double> hanging_;  // on every block
  std::vector<double> before_;
};

// Whether a picture of these costs goes on with the scene of the picture before.
bool continues(const PictureCosts& costs);

}  // namespace bsq
