// Motion search of the encoder over a whole picture, with threads.
#pragma once

#include "base/plane.h"
#include "codec/picture_state.h"
#include "motion/search.h"

namespace bsq {

// Leaves in state.motion the field from state.reference, the decoded picture before, to `source`,
// at the step q; `range` in luma samples. The result does not depend on the number of threads.
void search_picture(MotionSearch& search, const Frame& source, int q, int range,
                    PictureState& state);

}  // namespace bsq
