// Runs kernel launches read from standard input, one after the other, and writes what each of them wrote
// to standard output.
//
//   kernel grid_x grid_y threads shared_bytes late|early ascending|descending alone|together arguments
//   then one line an argument:   null
//                                int32 7 | int64 7 | float64 0x1.8p+1
//                                array float64 <bytes> <address modulo 16>, a newline, the bytes
//   answer: the number of bytes, a newline; for each array that is not const its bytes, in the order of
//           the arguments
//
// Types and number of the arguments must be those of the kernel: a device would not notice.

#include <iostream>
#include <string>
#include <tuple>
#include <utility>

#include "cuda_host.h"
#include "kernels.inc"  // written by the test: the kernel sources, and ENTRY_POINTS(RUN) naming each

template <typename T> constexpr const char* type_name = nullptr;
template <> constexpr const char* type_name<signed char> = "int8";
template <> constexpr const char* type_name<float> = "float32";
template <> constexpr const char* type_name<double> = "float64";
template <> constexpr const char* type_name<int> = "int32";
template <> constexpr const char* type_name<int64> = "int64";

static std::string word()
{
    std::string text;
    if (!(std::cin >> text)) host::fail("the launch ends early");
    return text;
}

// One argument as it was read: a scalar's text, or an array's bytes.
struct Argument {
    std::string type;  // "null", or NumPy's name
    std::string text;
    std::unique_ptr<char, void (*)(void*)> memory{nullptr, std::free};
    size_t shift = 0;
    size_t bytes = 0;

    Argument() : type(word())
    {
        if (type == "null") return;
        if (type != "array") {
            text = word();
            return;
        }
        type = word() + "*";
        bytes = std::stoul(word());
        shift = std::stoul(word());
        std::cin.get();  // the newline
        memory.reset(static_cast<char*>(std::malloc(shift + bytes)));  // exactly: the sanitizer guards its end
        if (!std::cin.read(memory.get() + shift, static_cast<std::streamsize>(bytes))) host::fail("an array ends early");
    }
};

template <typename P>
static P value_of(const Argument& argument)
{
    using Element = std::remove_const_t<std::remove_pointer_t<P>>;
    if constexpr (std::is_pointer_v<P>) {
        if (argument.type == "null") return nullptr;
        if (argument.type != std::string(type_name<Element>) + "*")
            host::fail("argument of type %s for %s*", argument.type.c_str(), type_name<Element>);
        return reinterpret_cast<P>(argument.memory.get() + argument.shift);
    } else {
        if (argument.type != type_name<P>) host::fail("argument of type %s for %s", argument.type.c_str(), type_name<P>);
        if constexpr (std::is_floating_point_v<P>)
            return std::strtod(argument.text.c_str(), nullptr);
        else
            return static_cast<P>(std::stoll(argument.text));
    }
}

template <typename P>
constexpr bool is_output = std::is_pointer_v<P> && !std::is_const_v<std::remove_pointer_t<P>>;

template <typename P>
static void answer(const Argument& argument)
{
    if constexpr (is_output<P>)
        std::cout.write(argument.memory.get() + argument.shift, static_cast<std::streamsize>(argument.bytes));
}

template <typename... P, size_t... I>
static void run(void (*entry)(P...), std::index_sequence<I...>, Dimensions grid, unsigned threads,
                size_t shared_bytes, const std::vector<Argument>& arguments)
{
    if (arguments.size() != sizeof...(P))
        host::fail("%zu arguments for %zu parameters", arguments.size(), sizeof...(P));
    const std::tuple<P...> values{value_of<P>(arguments[I])...};
    host::run_grid(grid, threads, shared_bytes, [&] { std::apply(entry, values); });
    std::cout << ((is_output<P> ? arguments[I].bytes : 0) + ... + 0) << '\n';
    (answer<P>(arguments[I]), ...);
    std::cout.flush();
}

template <typename... P>
static void run(void (*entry)(P...), Dimensions grid, unsigned threads, size_t shared_bytes,
                const std::vector<Argument>& arguments)
{
    run(entry, std::index_sequence_for<P...>{}, grid, threads, shared_bytes, arguments);
}

static void launch(const std::string& name)
{
    Dimensions grid;
    grid.x = static_cast<unsigned>(std::stoul(word()));
    grid.y = static_cast<unsigned>(std::stoul(word()));
    const unsigned threads = static_cast<unsigned>(std::stoul(word()));
    const size_t shared_bytes = std::stoul(word());
    host::late_copies = word() == "late";
    host::descending = word() == "descending";
    host::cooperative = word() == "together";
    const std::vector<Argument> arguments(std::stoul(word()));  // each reads itself
#define RUN(ENTRY) \
    if (name == #ENTRY) return run(ENTRY, grid, threads, shared_bytes, arguments);
    ENTRY_POINTS(RUN)
    host::fail("no kernel is called %s", name.c_str());
}

int main()
{
    std::ios::sync_with_stdio(false);
    for (std::string name; std::cin >> name;) launch(name);
}
