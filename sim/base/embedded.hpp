#pragma once

namespace stagesim {

// A text file built into the program; tables of them end with a null name.
struct EmbeddedFile {
  const char* name;  // without folder and ".json"
  const char* text;
};

}  // namespace stagesim
