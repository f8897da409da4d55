{
  'targets': [
    {
      'target_name': 'trmig',
      'sources': [
        'addon.cc',
        'digest_binding.cc',
        'memory_binding.cc',
        'chunk_binding.cc',
        'layer_binding.cc',
        'events_binding.cc',
        '../core/chunk.cc',
        '../core/digest.cc',
        '../core/events.c',
        '../core/layer.cc',
        '../core/pages.cc',
        '../core/remote.cc',
      ],
      'defines': ['NAPI_VERSION=8', 'NAPI_CPP_EXCEPTIONS'],
      'libraries': ['-lzstd'],
      # node-addon-api is not ours to mend: its headers count as the system's, so that our warnings can be errors.
      'cflags': ['-Wall', '-Wextra', '-Werror', '-O2', '-isystem <!(node -p "path.dirname(require.resolve(\'node-addon-api\'))")'],
      'cflags!': ['-O3', '-fno-exceptions'],
      'cflags_c': ['-std=c11'],
      'cflags_cc': ['-std=c++17', '-fexceptions'],
      'cflags_cc!': ['-fno-exceptions', '-std=gnu++17', '-std=gnu++20'],
      'configurations': {
        'Release': { 'cflags!': ['-O3'] },
      },
    },
  ],
}
