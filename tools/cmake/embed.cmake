# Writes the FILES as C++ raw strings; see stagesim_embed. Pieces stay below the 64 KiB that compilers
# must accept in one literal.
set(text "#include \"sim/base/embedded.hpp\"\n\nnamespace stagesim {\n\n")
string(APPEND text "extern const EmbeddedFile ${SYMBOL}[];\nconst EmbeddedFile ${SYMBOL}[] = {\n")
foreach(file IN LISTS FILES)
  get_filename_component(full "${file}" NAME)
  string(REGEX REPLACE "\\.json$" "" name "${full}")
  file(READ "${file}" content)
  string(APPEND text "    {\"${name}\", R\"~~~(${content})~~~\"},\n")
endforeach()
string(APPEND text "    {nullptr, nullptr}};\n\n}  // namespace stagesim\n")
file(WRITE "${OUTPUT}" "${text}")
