"""Which samplers can make several items in one run, and where the noise of each comes from."""

PLAIN = frozenset(
    (
        *("ddim", "deis", "dpm_2", "dpm_fast", "dpmpp_2m", "dpmpp_2m_cfg_pp", "euler", "euler_cfg_pp", "exp_heun_2_x0"),
        *("gradient_estimation", "gradient_estimation_cfg_pp", "heun", "heunpp2", "ipndm", "ipndm_v", "lms"),
        *("res_multistep", "res_multistep_cfg_pp", "uni_pc", "uni_pc_bh2"),
    )
)
"""All their noise is there at the start."""

STEPWISE = frozenset(
    (
        *("ddpm", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_2s_ancestral_cfg_pp", "er_sde", "euler_ancestral"),
        *("euler_ancestral_cfg_pp", "exp_heun_2_x0_sde", "lcm", "res_multistep_ancestral"),
        *("res_multistep_ancestral_cfg_pp", "sa_solver", "sa_solver_pece", "seeds_2", "seeds_3"),
    )
)
"""They draw noise at each step, from one generator."""

BROWNIAN_ON_GPU = frozenset(("dpmpp_2m_sde_gpu", "dpmpp_2m_sde_heun_gpu", "dpmpp_3m_sde_gpu", "dpmpp_sde_gpu"))
BROWNIAN = BROWNIAN_ON_GPU | {"dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde", "dpmpp_sde"}
"""They take noise at each step from a Brownian path, which has a seed."""

_OTHERWISE = {"unipc": "uni_pc", "unipc_bh2": "uni_pc_bh2"}


def sampler_name(function: str) -> str:
    """The sampler that ComfyUI runs with a function of this name; `ddim` is `euler` there."""
    name = function.removeprefix("sample_").removesuffix("_function")
    return _OTHERWISE.get(name, name)
