# gpu_bench and what ./dev gpu needs beside it, of model/ and kernels/ alone.
file(GLOB GPU_BENCH_SOURCES CONFIGURE_DEPENDS bench/gpu/*.c)
add_executable(gpu_bench ${GPU_BENCH_SOURCES})
target_link_libraries(gpu_bench PRIVATE assay-kernels)
set_target_properties(gpu_bench PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})

# The models that are measured; the tests' own builds of these lie in tools/.
add_executable(gpu_make_model EXCLUDE_FROM_ALL tests/support/make_model_main.c)
add_executable(gpu_make_network EXCLUDE_FROM_ALL tests/support/make_network_main.c tests/support/onnx_writer.c)
target_link_libraries(gpu_make_network PRIVATE assay-model)

if(TARGET assay-cuda)
  add_custom_command(
    OUTPUT ${PROJECT_BINARY_DIR}/libgpu-naive.so
    COMMAND ${ASSAY_NVCC} -std=c++17 -O3 -shared -Xcompiler -fPIC,-fvisibility=hidden -I${PROJECT_SOURCE_DIR} ${cuda_codes} --cudart static
            -L${cuda_runtime_folder} ${PROJECT_SOURCE_DIR}/bench/gpu/naive.cu -o ${PROJECT_BINARY_DIR}/libgpu-naive.so
    DEPENDS bench/gpu/naive.cu bench/gpu/naive.h
    COMMENT "Compiling naive.cu"
    VERBATIM)
  add_custom_target(gpu_naive DEPENDS ${PROJECT_BINARY_DIR}/libgpu-naive.so)
endif()
