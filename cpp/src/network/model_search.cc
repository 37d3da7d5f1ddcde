// Looks for model files in folders; a file is read in full only when it may be the one.
#include "network/model_search.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <system_error>
#include <vector>

#include "base/sha256.h"
#include "base/status.h"

namespace bsq {
namespace {

namespace fs = std::filesystem;

#ifdef _WIN32
constexpr char kListSeparator = ';';
constexpr const char* kHome = "USERPROFILE";
#else
constexpr char kListSeparator = ':';
constexpr const char* kHome = "HOME";
#endif
constexpr const char* kSuffix = ".bsqm";
constexpr const char* kDefaultFile = "default.txt";
constexpr std::streamoff kMaxModelBytes = std::streamoff{1} << 30;
constexpr size_t kDigestBytes = 32;  // the SHA-256 that closes a model file
constexpr size_t kIdDigits = 32;
constexpr size_t kLeastIdDigits = 8;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void append_list(std::vector<fs::path>& folders, const std::string& list) {
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(kListSeparator, begin), list.size());
    if (end > begin) {
      folders.push_back(fs::path(list.substr(begin, end - begin)).lexically_normal());
    }
    begin = end + 1;
  }
}

std::vector<fs::path> search_folders(const std::string& more) {
  std::vector<fs::path> folders;
  append_list(folders, environment("BSQAV_MODEL_PATH"));
  fs::path data = environment("XDG_DATA_HOME");
  const std::string home = environment(kHome);
  if (data.empty() && !home.empty()) data = fs::path(home) / ".local" / "share";
  if (!data.empty()) folders.push_back(data / "bsqav" / "models");
  append_list(folders, more);
  return folders;
}

std::vector<fs::path> candidates(const std::vector<fs::path>& folders) {
  std::vector<fs::path> files;
  for (const fs::path& folder : folders) {
    std::error_code ignored;  // a folder that is not there holds no models
    const auto first = static_cast<std::ptrdiff_t>(files.size());
    for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end;
         entry.increment(ignored)) {
      if (entry->path().extension() == kSuffix) files.push_back(entry->path());
    }
    std::sort(files.begin() + first, files.end());
  }
  return files;
}

std::shared_ptr<const Model> read_model(const fs::path& path) {
  std::error_code failed;
  const auto fail = [&](const std::string& message) -> Error {
    return {BSQ_ERROR_MODEL, path.string() + " " + message};
  };
  if (!fs::exists(path, failed)) {
    throw Error(BSQ_ERROR_MODEL_MISSING, "there is no model file " + path.string());
  }
  if (!fs::is_regular_file(path, failed)) throw fail("is not a file");
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? std::streamoff{file.tellg()} : -1;
  if (size < 0) throw fail("cannot be read");
  if (size > kMaxModelBytes) {
    throw fail("has " + std::to_string(size) + " bytes, which no model file has");
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  file.seekg(0);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): streams read characters
  if (!file.read(reinterpret_cast<char*>(bytes.data()), size)) throw fail("cannot be read");
  try {
    return Model::load(bytes);
  } catch (const Error& error) {
    throw Error(error.status(), path.string() + ": " + error.what());
  }
}

// The id that a file claims in its last bytes, without reading the rest; empty where it has none.
std::string claimed_id(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(-static_cast<std::streamoff>(kDigestBytes), std::ios::end);
  std::array<uint8_t, kDigestBytes> digest{};
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): streams read characters
  if (!file.read(reinterpret_cast<char*>(digest.data()), kDigestBytes)) return "";
  return to_hex(std::span(digest).first(BSQ_MODEL_ID_SIZE));
}

bool looks_like_id(const std::string& text) {
  return text.size() >= kLeastIdDigits && text.size() <= kIdDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool looks_like_path(const std::string& text) {
  std::error_code ignored;
  const fs::path path(text);
  return path.extension() == kSuffix || path.has_parent_path() ||
         fs::is_regular_file(path, ignored);
}

std::shared_ptr<const Model> by_id(const std::string& id, const std::vector<fs::path>& files) {
  std::optional<fs::path> found;
  std::string full;
  for (const fs::path& path : files) {
    const std::string claimed = claimed_id(path);
    if (!claimed.starts_with(id) || claimed == full) continue;
    if (found) {
      std::string message = "model ";
      message.append(id).append(" may be ").append(full).append(" or ").append(claimed);
      throw Error(BSQ_ERROR_ARGUMENT, message.append(": give more of the id"));
    }
    found = path;
    full = claimed;
  }
  return found ? read_model(*found) : nullptr;
}

// `broken` receives what is wrong with files that might have been the one.
std::shared_ptr<const Model> by_name(const std::string& name, const std::vector<fs::path>& files,
                                     std::string& broken) {
  for (const fs::path& path : files) {
    try {
      std::shared_ptr<const Model> model = read_model(path);
      if (model->name() == name) return model;
    } catch (const Error& error) {
      broken += std::string("; ") + error.what();
    }
  }
  return nullptr;
}

// The id in the first default.txt; empty where there is none.
std::string default_id(const std::vector<fs::path>& folders) {
  for (const fs::path& folder : folders) {
    std::ifstream file(folder / kDefaultFile);
    std::string id;
    if (!(file >> id)) continue;
    if (id.size() != kIdDigits || !looks_like_id(id)) {
      throw Error(BSQ_ERROR_MODEL, (folder / kDefaultFile).string() +
                                       " does not hold a model id of 32 hexadecimal digits");
    }
    return id;
  }
  return "";
}

std::string joined(const std::vector<fs::path>& folders) {
  std::string text;
  for (const fs::path& folder : folders) {
    text += (text.empty() ? "" : ", ") + folder.string();
  }
  return text.empty() ? "no folder" : text;
}

}  // namespace

std::shared_ptr<const Model> find_model(const std::string& which, const std::string& more) {
  const std::vector<fs::path> folders = search_folders(more);
  std::string wanted = which.empty() ? environment("BSQAV_MODEL") : which;
  if (wanted.empty()) wanted = default_id(folders);
  if (wanted.empty()) {
    throw Error(BSQ_ERROR_MODEL_MISSING,
                "no default model is installed: looked for " + std::string(kDefaultFile) + " in " +
                    joined(folders) + "; name a model, or set BSQAV_MODEL or BSQAV_MODEL_PATH");
  }
  if (looks_like_path(wanted)) return read_model(wanted);
  const std::vector<fs::path> files = candidates(folders);
  std::string broken;
  std::shared_ptr<const Model> model;
  if (looks_like_id(wanted)) model = by_id(wanted, files);
  if (model == nullptr) model = by_name(wanted, files, broken);
  if (model == nullptr) {
    throw Error(BSQ_ERROR_MODEL_MISSING, "model " + wanted + " is not installed: looked in " +
                                             joined(folders) + broken +
                                             "; BSQAV_MODEL_PATH names more folders");
  }
  return model;
}

}  // namespace bsq
