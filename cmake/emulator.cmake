# Programs that shell tests start by name. Where their processor is emulated, the name is a script that starts the emulator, so that tests need
# not know and the system needs no entry for foreign programs; the program itself lies beside it.
function(fovea_started_by_name target)
  if(CMAKE_CROSSCOMPILING_EMULATOR)
    get_target_property(folder ${target} RUNTIME_OUTPUT_DIRECTORY)
    if(NOT folder)
      set(folder ${CMAKE_CURRENT_BINARY_DIR})
    endif()
    set_target_properties(${target} PROPERTIES SUFFIX .${CMAKE_SYSTEM_PROCESSOR})
    list(JOIN CMAKE_CROSSCOMPILING_EMULATOR " " emulator)
    file(GENERATE OUTPUT ${folder}/${target} CONTENT "#!/bin/sh\nexec ${emulator} '$<TARGET_FILE:${target}>' \"$@\"\n"
      FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
  endif()
endfunction()
