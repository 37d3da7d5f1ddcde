// The check after the last symbol of a range code.
#include "entropy/dec_range_coder.h"

#include <string>

#include "base/status.h"

namespace bsq {

void RangeDecoder::check_end(const char* what) const {
  if (overrun()) {
    throw Error(BSQ_ERROR_BITSTREAM,
                std::string(what) + ": the entropy-coded data is damaged or cut off (its " +
                    std::to_string(bytes_.size()) + " bytes are too few for what they stand for)");
  }
  if (unread() != 0) {
    throw Error(BSQ_ERROR_BITSTREAM, std::string(what) + ": the entropy-coded data is damaged (" +
                                         std::to_string(unread()) + " of its " +
                                         std::to_string(bytes_.size()) + " bytes are left over)");
  }
}

}  // namespace bsq
