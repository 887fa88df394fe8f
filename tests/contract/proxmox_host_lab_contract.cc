// The contract on real tools.
#include "tests/contract/container_host_contract.h"
#include "tests/contract/proxmox_host_contract.h"
#include "tests/contract/proxmox_lab_world.h"

namespace phoenix::proxmox {
namespace {

INSTANTIATE_TYPED_TEST_SUITE_P(Lab, ProxmoxHostContract, LabContractWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Lab, ContainerHostContract, LabContractWorld);

}  // namespace
}  // namespace phoenix::proxmox
