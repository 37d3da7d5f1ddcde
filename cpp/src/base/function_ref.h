// A reference to something that can be called, for parameters: unlike std::function it copies
// nothing, and so it takes no memory.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace bsq {

template <class Signature>
class FunctionRef;

// What it refers to must outlive it: a lambda written as the argument of a call does, for the call.
template <class Result, class... Arguments>
class FunctionRef<Result(Arguments...)> {
 public:
  template <class Callable,
            class = std::enable_if_t<!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef>>>
  FunctionRef(const Callable& callable)  // NOLINT(google-explicit-constructor): as std::function
      : target_(std::addressof(callable)), call_([](const void* target, Arguments... arguments) {
          return (*static_cast<const Callable*>(target))(std::forward<Arguments>(arguments)...);
        }) {}

  Result operator()(Arguments... arguments) const {
    return call_(target_, std::forward<Arguments>(arguments)...);
  }

 private:
  const void* target_;
  Result (*call_)(const void* target, Arguments... arguments);
};

}  // namespace bsq
