# libassay-cuda.so: kernels (*.cu), device_cuda.c and module_cuda.c, where a CUDA compiler is; see module.h. nvcc is driven by
# custom commands: CMake's own CUDA language wants a whole toolkit in its usual places, and the wheels that ./dev setup --cuda
# brings have none. What ptxas says of registers and spills, and the PTX, are kept beside the objects for tests.
set(ASSAY_CUDA "auto" CACHE STRING "CUDA toolkit for libassay-cuda.so: its directory, auto (looks for one) or off")

# Both sides of the module say which sources of the boundary they were built from, and must agree.
file(GLOB CUDA_SHARED CONFIGURE_DEPENDS kernels/cuda/*.h kernels/cuda/*.cuh kernels/cuda/*.cu kernels/cuda/kernels.def kernels/cuda/*image*.c)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CUDA_SHARED})
set(cuda_digests "${PROJECT_VERSION}")
foreach(file ${CUDA_SHARED})
  file(SHA256 ${file} digest)
  string(APPEND cuda_digests ${digest})
endforeach()
string(SHA256 cuda_layout "${cuda_digests}")
string(SUBSTRING ${cuda_layout} 0 12 cuda_layout)
set(CUDA_LAYOUT_DEFINITION "ASSAY_CUDA_LAYOUT=\"${PROJECT_VERSION}-${cuda_layout}\"")
set_source_files_properties(kernels/cuda/module.c PROPERTIES COMPILE_DEFINITIONS ${CUDA_LAYOUT_DEFINITION})

set(ASSAY_NVCC "")
if(ASSAY_CUDA STREQUAL "auto" AND NOT ASSAY_SANITIZE)
  find_program(found_nvcc nvcc NO_CACHE HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin
               ${PROJECT_SOURCE_DIR}/.cache/cuda/toolkit/bin)
elseif(NOT ASSAY_CUDA STREQUAL "off" AND NOT ASSAY_SANITIZE)
  find_program(found_nvcc nvcc NO_CACHE NO_DEFAULT_PATH HINTS ${ASSAY_CUDA}/bin)
  if(NOT found_nvcc)
    message(FATAL_ERROR "ASSAY_CUDA: no bin/nvcc in ${ASSAY_CUDA}")
  endif()
endif()
if(found_nvcc)
  set(ASSAY_NVCC ${found_nvcc})
  file(REAL_PATH ${found_nvcc} cuda_home)
  cmake_path(GET cuda_home PARENT_PATH cuda_home)
  cmake_path(GET cuda_home PARENT_PATH cuda_home)
  find_library(cuda_runtime cudart_static NO_CACHE NO_DEFAULT_PATH
               HINTS ${cuda_home}/lib ${cuda_home}/lib64 ${cuda_home}/targets/${CMAKE_SYSTEM_PROCESSOR}-linux/lib)
endif()
if(NOT ASSAY_NVCC OR NOT cuda_runtime)
  message(STATUS "CUDA: left out, no compiler (./dev setup --cuda brings one)")
  return()
endif()

get_filename_component(cuda_runtime_folder ${cuda_runtime} DIRECTORY)

# Code for what the compiler knows of these, and PTX of the newest for devices to come.
execute_process(COMMAND ${ASSAY_NVCC} --list-gpu-code OUTPUT_VARIABLE known_codes)
set(cuda_architectures "")
set(cuda_codes "")
foreach(architecture 80 86 89 90 100 120)
  if(known_codes MATCHES "sm_${architecture}[\n\r]")
    list(APPEND cuda_architectures ${architecture})
    list(APPEND cuda_codes -gencode arch=compute_${architecture},code=sm_${architecture})
    set(newest ${architecture})
  endif()
endforeach()
list(APPEND cuda_codes -gencode arch=compute_${newest},code=compute_${newest})
list(JOIN cuda_architectures ", " cuda_listed)
message(STATUS "CUDA: libassay-cuda.so by ${ASSAY_NVCC}, sm_ ${cuda_listed}, PTX ${newest}")

# Scores are repeatable to the bit: no multiply and add may be fused but where the kernel says so.
set(cuda_flags -std=c++17 -O3 -lineinfo -fmad=false -Xptxas -v -Xcompiler -fPIC,-fno-exceptions,-fno-threadsafe-statics,-fvisibility=hidden
    -I${PROJECT_SOURCE_DIR})
if(ASSAY_WERROR)
  list(APPEND cuda_flags -Werror all-warnings)
endif()
file(GLOB CUDA_KERNELS CONFIGURE_DEPENDS kernels/cuda/*.cu)
set(cuda_out ${PROJECT_BINARY_DIR}/cuda)
file(MAKE_DIRECTORY ${cuda_out})
set(cuda_objects "")
foreach(source ${CUDA_KERNELS})
  get_filename_component(name ${source} NAME_WE)
  set(object ${cuda_out}/${name}.o)
  add_custom_command(
    OUTPUT ${object} ${cuda_out}/${name}.ptx
    COMMAND sh -c "\"$@\" 2>${cuda_out}/${name}.ptxas || { cat ${cuda_out}/${name}.ptxas >&2; exit 1; }" -- ${ASSAY_NVCC} ${cuda_flags}
            ${cuda_codes} --threads 2 -MD -MF ${object}.d -c ${source} -o ${object}
    COMMAND ${ASSAY_NVCC} -std=c++17 -O3 -fmad=false -I${PROJECT_SOURCE_DIR} -ptx -arch=compute_${newest} ${source} -o ${cuda_out}/${name}.ptx
    DEPENDS ${source}
    DEPFILE ${object}.d
    COMMENT "Compiling ${name}.cu for sm_ ${cuda_listed}"
    VERBATIM)
  list(APPEND cuda_objects ${object})
endforeach()

add_library(assay-cuda MODULE kernels/cuda/device_cuda.c kernels/cuda/module_cuda.c kernels/cuda/kernels.c model/base/status.c model/base/check.c
            ${cuda_objects})
set_target_properties(assay-cuda PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR} C_VISIBILITY_PRESET hidden)
target_compile_definitions(assay-cuda PRIVATE ${CUDA_LAYOUT_DEFINITION})
target_include_directories(assay-cuda SYSTEM PRIVATE ${cuda_home}/include)
target_link_libraries(assay-cuda PRIVATE ${cuda_runtime} Threads::Threads ${CMAKE_DL_LIBS} rt -static-libgcc)
target_link_options(assay-cuda PRIVATE -Wl,--no-undefined)
